"""Kernel and driver move together: the module is built before the new kernel is there to boot, the reboot comes last.

No part of `labctl deploy`: what it brings is what the archives have today, and nobody wrote that down anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.packages import PackageHealth
from labctl.hoststate.resource import Resource
from roles.host_update.booted import Booted, Rebooted
from roles.host_update.moved import KernelAndDriver
from roles.host_update.settings import HostUpdateSettings
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_driver.settings import DEFAULTS, NvidiaDriverSettings


@role("host_update", HostUpdateSettings, nvidia_driver)
def host_update(
    _settings: HostUpdateSettings, facts: HostFacts, driver: NvidiaDriverSettings = DEFAULTS
) -> Iterator[Resource]:
    """Nothing for a container, whose kernel and driver belong to the machine around it."""
    if facts.container and not driver.in_container:
        return
    yield PackageHealth()
    yield KernelAndDriver(driver=driver.manage)
    yield Rebooted() if driver.reboot else Booted()
