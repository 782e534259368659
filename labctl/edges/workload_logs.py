"""The journal of a workload's units, read over a shell, without the values of the host's secrets."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labctl.edges.held_shell import HeldShell
from labctl.edges.host_transactions import message_text
from labctl.edges.shell_programs import ShellPrograms
from labctl.errors import BadInput, Failed
from labctl.transaction.services import PODMAN_EVENT, Services, masked

_FIELDS = "MESSAGE,_SYSTEMD_UNIT,UNIT"
_SECONDS = 300.0


@dataclass(frozen=True)
class Entry:
    """One line. at: seconds since 1970. part: the container beside the first that said it, "" for the first."""

    at: float
    part: str
    text: str


class Journal:
    """Of one workload. parts: what its units are called before their lines, by unit; "" for the first.

    Raises Failed where the host cannot tell which words are secret.
    """

    def __init__(self, host: str, shell: HeldShell, parts: Mapping[str, str]) -> None:
        self._shell, self._parts = shell, parts
        secrets = Services(ShellPrograms(shell)).secret_values()
        if secrets is None:
            raise Failed(
                "the log cannot be shown: which words in it are secret cannot be told",
                where=host,
                hint="`podman secret ls` on the host, as root, says why",
            )
        self._secrets = secrets
        self._cursor = ""

    def read(self, lines: int | None, since: str | None) -> Iterator[Entry]:
        """The end of it. lines: at most, None for all. Raises BadInput for a time that journalctl does not know."""
        limits = [
            *([f"--lines={lines}"] if lines is not None else []),
            *([f"--since={since}"] if since else []),
        ]
        yield from self._entries(limits, since)

    def more(self) -> Iterator[Entry]:
        """What came since."""
        yield from self._entries([f"--after-cursor={self._cursor}"], None)

    def _entries(self, limits: list[str], since: str | None) -> Iterator[Entry]:
        units = [f"--unit={unit}" for unit in self._parts]
        command = [
            "journalctl",
            "--quiet",
            "--all",
            "--output=json",
            f"--output-fields={_FIELDS}",
            *units,
            *limits,
        ]
        # Where nothing was said yet, what is followed begins at the journal's own end.
        last = "journalctl --quiet --lines=1 --output=json --output-fields=_BOOT_ID"
        done = self._shell.run(f"{last}; {shlex.join(command)}", _SECONDS)
        if done.exit_status:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no output"]
            if since and "timestamp" in said[-1].lower():
                raise BadInput(
                    "no time that journalctl knows",
                    where="--since",
                    found=since,
                    expected='as "1 hour ago" or 12:00',
                )
            raise Failed("the journal cannot be read", found=said[-1])
        rows = [json.loads(line) for line in done.stdout.decode("utf-8", "replace").splitlines() if line]
        if rows:
            self._cursor = rows[-1]["__CURSOR"] if len(rows) > 1 else self._cursor or rows[0]["__CURSOR"]
        for row in rows[1:]:
            yield from self._entry(row)

    def _entry(self, row: dict[str, str]) -> Iterator[Entry]:
        unit = row.get("_SYSTEMD_UNIT", "")
        part = self._parts.get(unit, self._parts.get(row.get("UNIT", ""), ""))
        text = message_text(row["MESSAGE"]) if row.get("MESSAGE") else ""
        for line in text.splitlines():
            if line.strip() and not PODMAN_EVENT.match(line):
                yield Entry(int(row["__REALTIME_TIMESTAMP"]) / 1e6, part, masked(line, self._secrets))
