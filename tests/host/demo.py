"""`make demo`: from a bare machine to the first real token, and nothing left behind.

A throwaway Debian host is booted, deployed to over SSH, verified; one hand-written Quadlet unit puts llama.cpp's
server on it, which is asked an OpenAI-style chat request through an SSH port forward.
"""

import io
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from pathlib import Path

from labctl.errors import DONE, INTERRUPTED, Failed, LabctlError
from tests.host import llama_service, tiny_gguf
from tests.host.cache import open_cache
from tests.host.deploying import write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.labctl_command import labctl
from tests.host.leftovers import Footprint, machine_firewall
from tests.host.llama_image import LlamaImage, llama_image
from tests.host.llama_service import Answer
from tests.host.port_forward import forwarded_port
from tests.host.throwaway_host import ThrowawayHost

QUESTION = "Hello, who are you?"
_INTRODUCTION = """\
labctl demo: a bare Debian machine becomes a server that answers
  Real: Debian 13, systemd, SSH, apt, Podman, llama.cpp and its tokens.
  Stand-ins: the machine is a systemd-nspawn container on this kernel; there is
  no GPU, llama.cpp runs on the CPU; the model's weights are random.
"""


def main() -> int:
    """Run the demo; returns the exit code. What failed leaves its logs, and says where."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="labctl-demo-"))
    print(_INTRODUCTION)
    began = time.monotonic()
    try:
        answer = demo(folder)
    except (LabctlError, KeyboardInterrupt) as error:
        stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        print(f"\ndemo: {stopped}", file=sys.stderr)
        _say_where_the_logs_are(folder)
        return error.exit_code if isinstance(error, LabctlError) else INTERRUPTED
    shutil.rmtree(folder)
    print(f"\n  you        {QUESTION}")
    print(f"  llama.cpp  {answer.text}")
    print(f"             (random weights, so nonsense, but real tokens: {answer.tokens} of them)")
    print(f"\nAll of it took {time.monotonic() - began:.0f} s. Next: your own machine in inventory/home.py")
    return DONE


def demo(folder: Path) -> Answer:
    """The story itself. folder: for files and logs on this machine. Raises `LabctlError` where it breaks off."""
    if os.geteuid() != 0:
        raise Failed("booting a throwaway host needs root", hint="Run `sudo make demo`")
    with _step("llama.cpp image") as step:
        image = llama_image(open_cache())
        step.result = f"{image.version} from Debian sid, {'cached' if image.was_cached else 'built'}"
    with ExitStack() as stack:
        with _step("boot") as step:
            hosts = stack.enter_context(_throwaway_hosts(folder))
            host = hosts.boot("aibox")
            step.result = f"Debian 13, SSH as {host.user}@{host.ipv4}"
        stack.enter_context(_logs_of(host, folder))
        return _from_bare_to_token(host, image, folder)


def _from_bare_to_token(host: ThrowawayHost, image: LlamaImage, folder: Path) -> Answer:
    inventory, log = folder / "inventory.py", folder / "labctl.log"
    write_inventory(inventory, host)
    with _step("labctl deploy") as step:
        outcome = labctl("deploy", inventory, log=log)[host.name]
        step.result = f"{len(outcome.changed)} of {outcome.operations} operations changed something"
    with _step("labctl deploy") as step:
        outcome = labctl("deploy", inventory, log=log)[host.name]
        step.result = f"again: {len(outcome.changed)} changed, {outcome.remote_commands} remote commands"
    with _step("labctl verify") as step:
        checks = labctl("verify", inventory, log=log)[host.name].checks
        step.result = ", ".join(f"{count} {verdict}" for verdict, count in checks.items())
    with _step("image and model") as step:
        model = folder / f"{tiny_gguf.NAME}.gguf"
        tiny_gguf.write_tiny_gguf(model)
        llama_service.load_image(host, image)
        llama_service.install_model(host, model)
        step.result = (
            f"{image.tarball.stat().st_size >> 20} MiB loaded, {model.stat().st_size >> 10} KiB model written"
        )
    with _step("Quadlet unit") as step:
        llama_service.install_unit(host, image, folder)
        llama_service.start(host)
        step.result = f"{llama_service.UNIT}.service is healthy"
    with _step("ask it") as step, forwarded_port(host.ssh, llama_service.PORT) as port:
        answer = llama_service.ask(f"http://127.0.0.1:{port}", QUESTION, most_tokens=48)
        step.result = f"{answer.tokens} tokens of {answer.model}, by SSH port forward"
    return answer


@contextmanager
def _throwaway_hosts(folder: Path) -> Iterator[ThrowawayHosts]:
    """A session whose end is a step of its own, also after a failure or Ctrl-C."""
    firewall = machine_firewall()
    hosts = ThrowawayHosts()
    hosts.__enter__()
    try:
        yield hosts
    finally:
        # A second Ctrl-C would only leave a folder for the next run to remove.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        with _step("tear down") as step:
            footprint = Footprint.of(hosts.session, firewall, folder)
            hosts.__exit__(*sys.exc_info())
            footprint.check_gone()
            step.result = "no process, mount, link or nft rule is left"
        signal.signal(signal.SIGINT, before)


class _Step(io.TextIOBase):
    """A line of the demo's output; `result` is what it says at its end.

    As a stream it takes what is complained of meanwhile, and gives that a line of its own.
    """

    def __init__(self, title: str) -> None:
        self.result = "done"
        self._title = f"  {title:<16} "
        self._is_open = True
        print(self._title, end="", flush=True)

    def write(self, text: str) -> int:
        """Print an aside."""
        print(("\n    " if self._is_open else "") + text, end="", flush=True)
        self._is_open = False
        return len(text)

    def finish(self, seconds: float) -> None:
        """Complete the line, after asides anew."""
        print(f"{'' if self._is_open else self._title}{self.result:<50} {seconds:6.1f} s", flush=True)


@contextmanager
def _step(title: str) -> Iterator[_Step]:
    """One line: title, result, seconds. The title stands there while the work goes on."""
    step, began = _Step(title), time.monotonic()
    try:
        with redirect_stderr(step):
            yield step
    except BaseException as error:
        step.result = "interrupted" if isinstance(error, KeyboardInterrupt) else "FAILED"
        raise
    finally:
        step.finish(time.monotonic() - began)


@contextmanager
def _logs_of(host: ThrowawayHost, folder: Path) -> Iterator[None]:
    """Keep the host's journal and console when something fails: the host itself is about to go."""
    try:
        yield
    except BaseException:
        (folder / "journal.log").write_text(host.logs())
        (folder / "console.log").write_text(host.machine.console_tail())
        raise


def _say_where_the_logs_are(folder: Path) -> None:
    if any(folder.glob("*.log")):
        print(f"demo: the logs are in {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
