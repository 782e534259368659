"""What the preflight says of this host: the driver to bring about, nothing to do, or a refusal before any change."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from labctl.driver import report
from labctl.driver.decision import Decision, Request
from labctl.driver.host import DriverHost
from labctl.edges import preflights
from labctl.errors import Failed
from labctl.hoststate.facts import HostFacts
from roles.nvidia_driver.settings import NvidiaDriverSettings

# What the role `base` repairs before anything else is done: here it is no reason to refuse.
_REPAIRED = ("unfinished",)
_LEAVE_IT = "leave the driver alone: nvidia_driver = {'manage': False} in the inventory"


def no_card(facts: HostFacts) -> str | None:
    """Why nothing about cards is meant for this host; None when it has one. An old mainboard's chips are no card."""
    return None if facts.driver_report and _host(facts.driver_report).cards else "no NVIDIA card"


def not_here(driver: NvidiaDriverSettings, facts: HostFacts) -> str | None:
    """Why nothing about cards is done on this host; None where it is, whoever looks after the driver."""
    if facts.container and not driver.in_container:
        return no_card(facts) or f"{facts.container}: the driver belongs to the machine outside"
    return no_card(facts)


def not_for_us(driver: NvidiaDriverSettings, facts: HostFacts) -> str | None:
    """Why this host gets no driver; None when it does."""
    return not_here(driver, facts) or (None if driver.manage else "nvidia_driver.manage is False")


@cache
def _host(driver_report: str) -> DriverHost:
    return report.parse(driver_report)


def decided(
    driver: NvidiaDriverSettings, facts: HostFacts, *, cuda: bool = False
) -> tuple[DriverHost, Decision] | None:
    """The host and its driver; None where it gets none. cuda: a toolkit is wanted, too.

    Raises Failed with the first thing that stands in the way.
    """
    if not_for_us(driver, facts):
        return None
    asked = Request(driver.source, driver.branch, driver.flavour, cuda, driver.in_container)
    host = _host(facts.driver_report)
    # A half-finished installation has a module as little as a bare host, and its version proves nothing.
    sound = replace(host, packages=tuple(each for each in host.packages if each.state == "installed"))
    found = preflights.decide(sound, asked)
    # Nor is the module of a package that dpkg has not finished a stranger's.
    ours = (*_REPAIRED, "foreign-driver") if host.module_packages else _REPAIRED
    obstacles = [each for each in found.obstacles if each.code not in ours]
    if obstacles or found.decision is None:
        first, *others = obstacles
        more = f" (+{len(others)} more, see labctl preflight)" if others else ""
        raise Failed(
            f"no driver for this host: {first.message}{more}", hint=f"{first.way_out}; or {_LEAVE_IT}"
        )
    return sound, found.decision
