"""Power limits of the cards: now, at every boot, after sleep and after a driver that was loaded anew."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.resource import Resource
from roles.gpu_power.asked import AskedLimits
from roles.gpu_power.boot_unit import BootUnit
from roles.gpu_power.card_limits import CardLimits
from roles.gpu_power.settings import GpuPowerSettings


@role("gpu_power", GpuPowerSettings)
def gpu_power(settings: GpuPowerSettings, facts: HostFacts) -> Iterator[Resource]:  # noqa: ARG001 - a role takes both
    """The unit first: it limits every card that lets itself be limited, before one that refuses ends the deploy."""
    yield BootUnit(AskedLimits(settings.wanted))
    yield CardLimits(settings.wanted)
