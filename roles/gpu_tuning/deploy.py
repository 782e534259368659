"""Locked clocks of the cards, where the inventory asks for them: now, at boot, after sleep and after a new driver.

A lock on the graphics clock is what comes closest to undervolting under Linux: below its highest clocks a card needs
less voltage. It also cuts spikes that are too short for a power limit; the two go together.
peer_to_peer.py has what there is to know of cards that reach each other's memory; nothing is changed about that.
"""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.resource import Resource
from roles.gpu_power.boot_unit import BootUnit
from roles.gpu_tuning.asked import AskedClocks
from roles.gpu_tuning.card_clocks import CardClocks
from roles.gpu_tuning.settings import GpuTuningSettings


@role("gpu_tuning", GpuTuningSettings)
def gpu_tuning(settings: GpuTuningSettings, facts: HostFacts) -> Iterator[Resource]:  # noqa: ARG001 - a role takes both
    """The unit first: it locks every card that lets itself be locked, before one that refuses ends the deploy."""
    yield BootUnit(AskedClocks(settings.wanted))
    yield CardClocks(settings.wanted)
