"""The two facts labctl asks of a host: what it is, and the state of everything a deploy speaks of."""

from __future__ import annotations

from pyinfra.api.facts import FactBase

from labctl.driver.survey import SCRIPT as DRIVER_SURVEY
from labctl.hoststate import facts, survey
from labctl.hoststate.facts import HostFacts as HostFactsValue
from labctl.hoststate.observation import Observations
from labctl.hoststate.survey import Probes

# Asking after packages and modules takes a second, which a host without a card need not wait for.
_CARDS = "grep -qs '^0x10de' /sys/bus/pci/devices/*/vendor"


class HostFacts(FactBase[HostFactsValue]):
    """What the host is: OS, privileges, disk, rival services, and what a driver meets there.

    Runs as the login user, without sudo.
    """

    def command(self) -> str:
        return f"{facts.SCRIPT}if {_CARDS}; then\n{DRIVER_SURVEY}\nfi\n"

    def process(self, output: list[str]) -> HostFactsValue:
        return facts.parse("\n".join(output))


class Survey(FactBase[Observations]):
    """The answers to a set of probes, in one remote command."""

    # pyinfra makes a fresh instance per call and asks `command` first, so the probes can be kept for `process`.
    _probes: Probes = Probes()

    def command(self, probes: Probes) -> str:
        self._probes = probes
        return survey.script(probes)

    def process(self, output: list[str]) -> Observations:
        return survey.parse(self._probes, "\n".join(output))
