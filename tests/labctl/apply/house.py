"""A house of simulated hosts with a plan, and the commands run against it."""

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from labctl.edges.held_shell import HeldShell
from labctl.errors import LabctlError
from labctl.plan.plan import PlannedPort, PlannedWorkload
from labctl.plan.plan_json import dump
from tests.labctl.cli.fit_command import Answer, Command
from tests.labctl.plan.plans import FIRST, SECOND, claims, plan, runs

CARDS = tuple((card, 24576, "580.95.05") for card in (FIRST, SECOND))
CHAT = runs(
    "container",
    cards=claims(first=8000),
    image="localhost/chat:1",
    args=("-c", "8192"),
    ram_mib=4096,
    ports=(PlannedPort(8080, 20000),),
)
UI = runs("container", image="localhost/ui:1", env={"COLOR": "red"})
HOME = {"chat": CHAT, "ui": UI}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class House:
    """An inventory with simulated hosts, and the commands run against it."""

    def __init__(self, folder: Path, shells: Mapping[str, HeldShell | LabctlError]) -> None:
        self.folder, self.shells = folder, dict(shells)
        self.path = folder / "plan.json"

    @contextmanager
    def opened(
        self, _inventory: str, *, settings_later: bool = False
    ) -> Iterator[Mapping[str, HeldShell | LabctlError]]:
        yield self.shells

    def write(self, workloads: Mapping[str, PlannedWorkload]) -> None:
        self.path.write_text(dump(plan(workloads)))


class Applying:
    def __init__(self, command: Command, house: House) -> None:
        self._command, self._house = command, house

    def __call__(self, *arguments: str) -> Answer:
        answer = self._command(str(self._house.path), *arguments)
        # But for a path of this machine.
        lines = [] if "--json" in arguments else answer.out.splitlines()
        assert all(len(line) <= 80 for line in lines if "/tmp/" not in line), answer.out
        return answer
