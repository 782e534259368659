"""What a person is shown when a run goes wrong, and whether the host is as it was."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.host.deploying import Run, labctl
from tests.host.throwaway_host import ThrowawayHost

_PHONE_COLUMNS = 80  # what labctl wraps to where there is no terminal
# Whatever a deploy can change, but for what every login changes.
_FINGERPRINT = """
find /etc /usr/local /var/lib/dpkg /var/lib/labctl /root -xdev -type f -exec sha256sum {} + 2>/dev/null | sort
find /etc /usr/local /var/lib/labctl -xdev -printf '%p %y %m %u %l\\n' 2>/dev/null | sort
systemctl list-unit-files --no-legend
"""


@dataclass(frozen=True)
class Complaint:
    """The same failing command twice: for a person, and with --json."""

    person: Run
    json: Run

    @property
    def exit_code(self) -> int:
        """Of both."""
        assert self.person.exit_code == self.json.exit_code, f"{self.person}\n{self.json}"
        return self.person.exit_code

    @property
    def text(self) -> str:
        """All that a person is shown, on one line."""
        return " ".join((self.person.stdout + self.person.stderr).split())

    def host_error(self, name: str) -> dict[str, Any]:
        """Why one host dropped out, from the document."""
        return dict(self.json.host(name)["error"])

    @property
    def error(self) -> dict[str, Any]:
        """Why nothing was begun, from the document."""
        return dict(self.json.document["error"])


def complain(*arguments: str | Path, command: str = "deploy") -> Complaint:
    """Run `labctl COMMAND` with and without --json at the same time; both have to be fit to be read."""
    with ThreadPoolExecutor(2) as pool:
        person = pool.submit(labctl, command, *arguments)
        json = pool.submit(labctl, command, *arguments, "--json")
    complaint = Complaint(person.result(), json.result())
    for run in (complaint.person, complaint.json):
        assert "Traceback" not in run.stdout + run.stderr, run
    assert too_wide(complaint.person.stdout) == []
    assert complaint.json.stderr == "", "--json says everything on stdout"
    assert complaint.json.document["schema_version"] == 1
    return complaint


def fingerprint(host: ThrowawayHost) -> str:
    """Changes with every file, package and unit that a deploy could have changed."""
    return host.console_run(_FINGERPRINT).stdout


def too_wide(text: str) -> list[str]:
    """Lines that a phone breaks. What a program printed is quoted as it is, and a long path is better whole."""
    return [
        line
        for line in text.splitlines()
        if len(line) > _PHONE_COLUMNS and not re.match(r" *(\||\S+$)", line)
    ]
