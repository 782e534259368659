"""A unit that sets something of each card at every boot, and the files that start it again: after sleep, a new driver.

Of power limits and of locked clocks alike: a driver forgets both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labctl.edges.templates import render
from labctl.hoststate.condition import Condition
from labctl.hoststate.files import File, Files
from labctl.hoststate.resource import Resource
from labctl.hoststate.units import Unit

# What every service that computes belongs to; systemd takes wants of a target that is not there yet.
TARGET = "labctl.target"


@dataclass(frozen=True)
class CardUnit:
    """What the unit is called and what comes with it.

    role: whose setting it is. what: for people, as "Power limits". number: where its rules stand among udev's. program:
    what its lines run, beside nvidia-smi. records: its lines write what they did to /run/STEM.
    """

    stem: str
    role: str
    what: str
    number: int
    program: File | None = None
    records: bool = False
    target: str = TARGET

    @property
    def name(self) -> str:
        """The unit's."""
        return f"{self.stem}.service"

    @property
    def path(self) -> str:
        """The unit's file."""
        return f"/etc/systemd/system/{self.name}"

    @property
    def resume_name(self) -> str:
        """The unit that starts it again after sleep."""
        return f"{self.stem}-resume.service"

    @property
    def resume_path(self) -> str:
        """That unit's file."""
        return f"/etc/systemd/system/{self.resume_name}"

    @property
    def rules_path(self) -> str:
        """The udev rules that start it again when a driver takes a card."""
        return f"/etc/udev/rules.d/{self.number}-{self.stem}.rules"

    def text(self, lines: Sequence[object]) -> str:
        """The unit's file with these lines."""
        return render(__file__, "card-unit.service", unit=self, lines=lines)

    def parts(self, lines: Sequence[object] | None) -> tuple[Resource, ...]:
        """What it is made of, in order; None for what must be there when nothing is wanted, which is no file."""
        program = (self.program,) if self.program else ()
        if lines is None:
            paths = (self.path, self.resume_path, self.rules_path, *(each.path for each in program))
            return (Files("files", tuple(File(path, None) for path in paths)),)
        unit = File(self.path, self.text(lines))
        resume = File(self.resume_path, render(__file__, "card-unit-resume.service", unit=self))
        rules = File(self.rules_path, render(__file__, "card-unit.rules", unit=self))
        return (
            Files("files", (*program, unit, resume, rules)),
            Unit("unit", self.name, reads=(unit, *program)),
            Condition(
                self.resume_name,  # a survey keeps answers by this name, and another role has such a unit, too
                probe=f"systemctl is-enabled {self.resume_name}",
                wanted="enabled",
                problem=f"{self.resume_name} is not enabled",
                apply="systemctl daemon-reload\n"
                f"systemctl unmask {self.resume_name}\nsystemctl enable {self.resume_name}",
            ),
        )
