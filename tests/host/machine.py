"""The machine itself: systemd-nspawn running the guest's systemd, its power switch, and its console.

The guest's systemd is the real one of its distribution, in namespaces of its own, without the capabilities to set
the clock (CAP_SYS_TIME), load modules (CAP_SYS_MODULE) or reach hardware (CAP_SYS_RAWIO), and with /sys and all of
/proc/sys but its own network's read-only. Root in the guest is root to the kernel: it is kept from touching the
machine by accident, not by malice.
"""

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from labctl.errors import Failed
from tests.host import network
from tests.host.commands import run
from tests.host.disk import PLAIN_FOLDERS, Disk
from tests.host.session import Session

# What systemd-nspawn leaves a guest, and what a server's root has that the services under test ask for: crun
# loads BPF programs to guard devices, inference servers lock their weights into memory.
_EXTRA_CAPABILITIES = "CAP_BPF,CAP_IPC_LOCK,CAP_PERFMON"
_NO_CAPABILITIES = "CAP_SYS_TIME,CAP_SYS_MODULE,CAP_SYS_RAWIO"
# Podman's user-space overlay and network need them; a server has them.
_DEVICES = ("/dev/fuse", "/dev/net/tun")
# A guest that reboots makes systemd-nspawn exit with 133 for somebody to start it anew. The old end of its cable
# goes some time after the guest. Only the guest itself is in its control group: a group with processes of its own
# could delegate nothing.
_POWER_SUPPLY = """
cgroup=$1 link=$2; shift 2; cd /; mkdir -p "$cgroup"
while ip link delete "$link" 2> /dev/null; sh -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' boot "$cgroup" "$@"
      [ $? = 133 ]; do :; done
"""
_LEADER_WITHIN_S = 15
_GONE_WITHIN_S = 10
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


@dataclass
class Machine:
    """One guest. name: also its host name. disk: mounted when it boots."""

    session: Session
    name: str
    disk: Disk
    extra_arguments: Sequence[str] = ()
    _nspawn: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def console_log(self) -> Path:
        """What the guest printed on its console, of all boots."""
        return self.disk.folder / "console.log"

    @property
    def link(self) -> str:
        """The far end of the guest's network cable, a port of the session's switch."""
        return f"vb-{self.name}"

    @property
    def is_on(self) -> bool:
        """Whether the guest runs; a guest that powered itself off does not."""
        return self._nspawn is not None and self._nspawn.poll() is None

    def power_on(self) -> None:
        """Start booting; returns as soon as the guest's first process exists."""
        assert not self.is_on
        cgroup = f"/sys/fs/cgroup/{self.session.cgroup}/{self.name}"
        self._nspawn = self.session.start(
            ["sh", "-c", _POWER_SUPPLY, "power-supply", cgroup, self.link, *self._nspawn_command()],
            self.console_log,
        )
        self.leader()

    def leader(self) -> int:
        """The process id, as the machine sees it, of the guest's first process; it changes with every boot."""
        deadline = time.monotonic() + _LEADER_WITHIN_S
        while self.is_on and time.monotonic() < deadline:
            assert self._nspawn is not None
            for process in _descendants(self._nspawn.pid):
                if _is_first_process(process, depth=3):
                    return process
            time.sleep(0.01)
        raise Failed(f"{self.name} does not run", hint=f"Its console said: {self.console_tail()}")

    def wait_for_next_leader(self, before: int, timeout_s: float = 90) -> None:
        """Wait until a rebooting guest has left `before`, its old first process, behind and started again."""
        deadline = time.monotonic() + timeout_s
        while self.leader() == before:
            if time.monotonic() > deadline:
                raise Failed(
                    f"{self.name} did not reboot within {timeout_s} s",
                    hint=f"Its console said: {self.console_tail()}",
                )
            time.sleep(0.02)

    def power_off(self) -> None:
        """Shut down in order, and wait for it."""
        self.console_run(["systemctl", "--no-block", "poweroff"])
        self.wait_until_off(90)

    def wait_until_off(self, timeout_s: float) -> None:
        """Wait for a guest that is shutting down. Raises `Failed` when it takes longer."""
        assert self._nspawn is not None
        try:
            self._nspawn.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise Failed(
                f"{self.name} did not shut down within {timeout_s} s",
                hint=f"Its console said: {self.console_tail()}",
            ) from error

    def power_cut(self) -> None:
        """Stop everything at once, with no chance to do anything about it."""
        if self._nspawn is None:
            return
        doomed = _descendants(self._nspawn.pid)
        # The guest's first process takes all others with it; systemd-nspawn goes first so that it does not react.
        for process in sorted(doomed, key=lambda process: _is_first_process(process, depth=3)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._nspawn.wait()
        _wait_until_gone(doomed)

    def console_run(
        self, argv: Sequence[str], *, check: bool = True, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` as the guest's root without its network, as if at its console."""
        entered = ["nsenter", "--target", str(self.leader()), "--mount", "--uts", "--ipc", "--net", "--pid"]
        entered += ["--cgroup", "--root", "--wd", "--", *argv]
        return run(entered, check=check, timeout_s=timeout_s, env=_ENVIRONMENT)

    def console_tail(self, characters: int = 1500) -> str:
        """The end of the console log."""
        with suppress(FileNotFoundError):
            return self.console_log.read_text(errors="replace")[-characters:].strip() or "(nothing)"
        return "(nothing)"

    def _nspawn_command(self) -> list[str]:
        binds = [f"--bind={self.disk.plain_folder(path)}:{path}" for path in PLAIN_FOLDERS]
        binds += [f"--bind={device}" for device in _DEVICES if Path(device).exists()]
        return [
            *("systemd-nspawn", "--boot", "--directory", str(self.disk.root), "--machine", self.name),
            *("--register=no", "--keep-unit", "--console=read-only", "--link-journal=no"),
            *("--resolv-conf=off", "--timezone=off", f"--network-bridge={network.SWITCH}"),
            *("--system-call-filter=@keyring bpf", f"--capability={_EXTRA_CAPABILITIES}"),
            *(f"--drop-capability={_NO_CAPABILITIES}", *binds, *self.extra_arguments),
        ]


def _descendants(process: int) -> list[int]:
    """The process and everything below it, parents first."""
    found = [process]
    for parent in found:
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _is_first_process(process: int, depth: int) -> bool:
    """Whether it is process 1 of a namespace `depth` levels below the machine's own (counted as 1)."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                levels = line.split()[1:]
                return len(levels) == depth and levels[-1] == "1"
    return False


def _wait_until_gone(processes: Sequence[int]) -> None:
    deadline = time.monotonic() + _GONE_WITHIN_S
    for process in processes:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process)
            try:
                if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise Failed(f"process {process} does not end after SIGKILL")
            finally:
                os.close(descriptor)
