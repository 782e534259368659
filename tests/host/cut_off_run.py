"""A deploy that is running: how far it is, and how it is cut off."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from labctl.errors import Failed
from tests.host.deploying import CHECKOUT, PYINFRA_ENV
from tests.host.kill_points import Client
from tests.host.throwaway_host import ThrowawayHost

_REACHED_WITHIN_S = 1200  # a driver's real build takes minutes
_PAUSE_S = 0.005


class RunningDeploy:
    """A deploy of one host in a process group of its own; leaving the `with` block kills what is left of it."""

    def __init__(self, host: ThrowawayHost, inventory: Path, client: Client, *options: str) -> None:
        self.host = host
        self.output_path = inventory.with_suffix(".output")
        command = [sys.executable, "-m", "labctl", "deploy", "-v", str(inventory), *options]
        if client == "pyinfra":
            program = str(Path(sys.executable).with_name("pyinfra"))
            command = [program, "-y", str(inventory), "deploy/gpu_host.py", *options]
        self._client = client
        self._dpkg_log_before = dpkg_log(host)
        with self.output_path.open("w") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=CHECKOUT,
                env=PYINFRA_ENV,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def output(self) -> str:
        """What it has printed, both streams."""
        return self.output_path.read_text()

    def kill(self) -> None:
        """SIGKILL to the client and everything it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_until_ended(self, operation: str) -> None:
        """Return as soon as the client says that "role: name" is over."""
        role, _, name = operation.partition(": ")
        said = rf"^{self.host.name}: {role}: {name}: (changed|unchanged)"
        if self._client == "pyinfra":
            said = rf"operation: {role} \| {name} \n(    \[.*\n)*?    \[.*\] (Success|No changes)"
        self._wait(lambda: re.search(said, self.output, re.MULTILINE) is not None, operation)

    def wait_until_dpkg_wrote(self, lines: int) -> None:
        """Return when dpkg's log has that many lines more than when the deploy began."""
        self._wait(
            lambda: self._dpkg_wrote().count(b"\n") >= lines,
            f"{lines} lines of dpkg.log",
        )

    def wait_until_dpkg_says(self, words: str) -> None:
        """Return when dpkg's log has them, in a line written since the deploy began."""
        self._wait(lambda: f" {words}".encode() in self._dpkg_wrote(), f"dpkg's {words}")

    def wait_until_it_waits_for_apt(self) -> None:
        """Return when the host has made it wait for another deploy's package work."""
        self._wait(
            lambda: self.host.console_run("pgrep -x flock", check=False).returncode == 0, "wait for apt"
        )

    def go_on(self, seconds: float) -> None:
        """Let it run for a while. Raises `Failed` when it is over by then: there is nothing to cut off any more."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        if self.process.returncode is not None:
            raise Failed(f"the run was over within {seconds} s", found=self.output[-3000:])

    def _dpkg_wrote(self) -> bytes:
        return dpkg_log(self.host).removeprefix(self._dpkg_log_before)

    def _wait(self, reached: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _REACHED_WITHIN_S
        while not reached():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"the run never came to {what}", found=self.output[-3000:])
            time.sleep(_PAUSE_S)


def dpkg_log(host: ThrowawayHost) -> bytes:
    """What dpkg has done on this host since it was installed."""
    with suppress(FileNotFoundError):
        return _on_disk(host, "var/log/dpkg.log").read_bytes()
    return b""


@contextmanager
def dpkg_locked(host: ThrowawayHost) -> Iterator[None]:
    """Whoever wants to install packages on `host` waits for the end of the `with` block, or of the host."""
    with _on_disk(host, "var/lib/dpkg/lock-frontend").open("r+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield


def _on_disk(host: ThrowawayHost, path: str) -> Path:
    return host.machine.session.path(host.machine.disk.root / path)
