"""What a session could leave on this machine, looked for after its end."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.cleanup import start_time
from tests.host.commands import run
from tests.host.session import Session

_NAMESPACES = ("mnt", "net", "pid")
# The kernel takes a dead network namespace, and our end of its cable with it, apart in its own time.
_GONE_WITHIN_S = 5


@dataclass(frozen=True)
class Footprint:
    """A living session as the machine sees it, right before its end.

    paths: what the command lines of its processes would name. taken_at: in clock ticks after boot, as the start times
    of processes are. firewall: the machine's own nft rules before the session began.
    """

    name: str
    folder: Path
    paths: tuple[Path, ...]
    namespaces: frozenset[str]
    taken_at: float
    firewall: str

    @classmethod
    def of(cls, session: Session, firewall: str, *paths: Path) -> "Footprint":
        """Take it while the session lives."""
        return cls(
            session.name,
            session.folder,
            (session.folder, *paths),
            _namespaces(Path(f"/proc/{session.holder}")),
            time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"),
            firewall,
        )

    def check_gone(self) -> None:
        """Raises `Failed` with what is still there after a grace of a few seconds."""
        deadline = time.monotonic() + _GONE_WITHIN_S
        while (found := self.still_there()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if found:
            raise Failed(
                "the session left something behind",
                found="; ".join(found),
                expected="nothing",
                hint="`.venv/bin/python -m tests.host clean` removes what dead sessions left",
            )

    def still_there(self) -> list[str]:
        """A description of everything found, such as `link lab-1234abcd`."""
        found = [*self._processes(), *self._mounts(), *self._links(), *self._control_groups()]
        if self.folder.exists():
            found.append(f"folder {self.folder}")
        if machine_firewall() != self.firewall:
            found.append("nft rules other than before")
        return found

    def _processes(self) -> Iterator[str]:
        """Those in the session's namespaces, and those outside that were started for it."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if process.name == str(os.getpid()) or start_time(int(process.name)) > self.taken_at:
                    continue  # a later session may get the numbers of our namespaces
                inside = _namespaces(process) & self.namespaces
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it has ended meanwhile
            if inside or any(str(path) in command for path in self.paths):
                yield f"process {process.name} ({' '.join(command.split())[:60]})"

    def _mounts(self) -> Iterator[str]:
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if self.name in line:
                yield f"mount {line.split()[4]}"

    def _links(self) -> Iterator[str]:
        for line in run(["ip", "-oneline", "link"]).stdout.splitlines():
            if self.name in line:
                yield f"link {line.split()[1].partition('@')[0].rstrip(':')}"

    def _control_groups(self) -> Iterator[str]:
        for folder, names, _ in os.walk("/sys/fs/cgroup"):
            yield from (f"control group {folder}/{name}" for name in names if self.name in name)


def _namespaces(process: Path) -> frozenset[str]:
    """The namespaces of a process in /proc, as `net:[4026531840]`. Raises `OSError` when it has ended."""
    return frozenset(str((process / "ns" / kind).readlink()) for kind in _NAMESPACES)


def machine_firewall() -> str:
    """The machine's nft rules, without the counters that change by themselves."""
    return re.sub(r"counter packets \d+ bytes \d+", "counter", run(["nft", "list", "ruleset"]).stdout)
