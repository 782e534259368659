"""`make demo`: a bare machine and a workloads file become services that answer, and nothing is left behind.

A throwaway Debian host with two simulated cards is deployed to over SSH; workloads/demo.yaml is placed on it, applied
and verified, its model is asked by an OpenAI-style chat request through an SSH port forward, and all of it is asked
again after a reboot. Without root it ends with the placement.
"""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from labctl.errors import DONE, FAILED, INTERRUPTED, Failed, LabctlError
from tests.host.cache import open_cache
from tests.host.demo_host import PLACED, boot_demo_host, image_lines
from tests.host.demo_output import INTRODUCTION, Told, step, summary
from tests.host.demo_session import DemoSession
from tests.host.hosts import ThrowawayHosts
from tests.host.labctl_command import said
from tests.host.leftovers import Footprint, machine_firewall
from tests.host.llama_service import Answer
from tests.host.service_images import service_images
from tests.host.throwaway_host import ThrowawayHost

RIG = "workloads/rigs/dual-3090.yaml"
CATEGORY = "written before the reboot"
# A unit is active when its container was healthy.
_ALL_RUN = """units=$(cd /etc/containers/systemd/labctl && ls -- *.container | sed 's/container$/service/')
for i in $(seq 600); do
  for unit in $units; do systemctl -q is-active "$unit" || { sleep 0.2; continue 2; }; done
  exit 0
done
systemctl --no-pager list-units --all 'labctl-*'; exit 1
"""


def main() -> int:
    """Run the demo; returns the exit code. What failed leaves its logs, and says where."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    if os.geteuid() != 0:
        return _placement_alone()
    folder = Path(tempfile.mkdtemp(prefix="labctl-demo-"))
    print(INTRODUCTION)
    began = time.monotonic()
    try:
        told = demo(folder)
    except (LabctlError, KeyboardInterrupt) as error:
        stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        print(f"\ndemo: {stopped}", file=sys.stderr)
        _say_where_the_logs_are(folder)
        return error.exit_code if isinstance(error, LabctlError) else INTERRUPTED
    shutil.rmtree(folder)
    print(summary(told, time.monotonic() - began))
    return DONE


def demo(folder: Path) -> Told:
    """The story itself. folder: for files and logs on this machine. Raises `LabctlError` where it breaks off."""
    with step("images") as line:
        images = service_images(open_cache())
        images.held.release()
        line.result = "they come under their true names"
    for each in image_lines(images.images):
        print(f"    {each}")
    with ExitStack() as stack:
        with step("boot") as line:
            hosts = stack.enter_context(_throwaway_hosts(folder))
            box = boot_demo_host(hosts, folder)
            line.result = f"Debian 13, two RTX 3090, SSH as {box.host.user}@{box.host.ipv4}"
        stack.enter_context(_logs_of(box.host, folder))
        return _from_bare_to_tokens(DemoSession(box, folder))


def _from_bare_to_tokens(labctl: DemoSession) -> Told:
    for _ in ("first", "again"):
        with step("labctl deploy") as line:
            line.result = labctl.deploy()
    with step("labctl place") as line:
        picture = labctl.place()
        counted = Counter(len(each.cards) for each in labctl.plan.workloads.values())
        line.result = f"{counted.total()} workloads, {counted.total() - counted[0]} of them on cards"
    with step("models pull") as line:
        line.result = labctl.pull()
    with step("labctl apply") as line:
        line.result = labctl.apply()
    _ask(labctl)
    with step("use feeds") as line, labctl.feeds() as reader:
        reader.add_category(CATEGORY)
        line.result = f"Miniflux {reader.version()} wrote into its PostgreSQL"
    with step("labctl verify") as line:
        line.result = labctl.verify()
    with step("reboot") as line:
        labctl.box.host.reboot()
        labctl.box.host.wait_running()
        labctl.box.host.console_run(_ALL_RUN, timeout_s=180)
        line.result = "every container is back and healthy"
    with step("labctl verify") as line:
        line.result = labctl.verify()
    answer = _ask(labctl)
    with step("use feeds") as line, labctl.feeds() as reader:
        if CATEGORY not in reader.categories():
            raise Failed(
                "the database lost what was written", found=str(reader.categories()), expected=CATEGORY
            )
        line.result = "PostgreSQL has what was written before"
    with step("labctl apply") as line:
        line.result = labctl.apply()
    return Told(picture, answer)


def _ask(labctl: DemoSession) -> Answer:
    with step("ask chat") as line:
        answer = labctl.ask()
        line.result = f"{answer.tokens} tokens of {answer.model}, by SSH port forward"
    return answer


def _placement_alone() -> int:
    """What needs no host, and why there is no more."""
    command = ("place", PLACED, "--rig", RIG)
    print(f"$ labctl {' '.join(command)}\n{said(*command)}")
    print(
        "demo: that is where they would go. To run them, a throwaway host is booted,\n"
        "which needs root: sudo make demo",
        file=sys.stderr,
    )
    return FAILED


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
        with step("tear down") as line:
            footprint = Footprint.of(hosts.session, firewall, folder)
            hosts.__exit__(*sys.exc_info())
            footprint.check_gone()
            line.result = "no process, mount, link or nft rule is left"
        signal.signal(signal.SIGINT, before)


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
