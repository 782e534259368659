"""Do containers find the cards that are there, under names that do not move?"""

from __future__ import annotations

import re

from labctl.edges.checks import Host, HostFacts, output_of
from roles.container_toolkit.deploy import CDI, OTHERS, UNIT
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.nvidia_driver.answering import ANSWERING
from roles.nvidia_driver.checked_here import leave_out_without_driver


def test_devices(host: Host, settings: ContainerToolkitSettings, facts: HostFacts) -> None:
    """containers are offered the cards that nvidia-smi lists, by UUID"""
    leave_out_without_driver(host, facts, "container_toolkit", managed=settings.manage)
    listed = set(output_of(host, "sh -c %s", ANSWERING).split())
    assert listed, "nvidia-smi lists no card"
    description = output_of(host, "cat %s", CDI)
    named = re.findall(r"""^ *(?:- )?"?name"?: ["']?([^"'\s,]+)""", description, re.MULTILINE)
    found = set(named) - {"all"}
    assert found == listed, (
        f"{CDI} offers {', '.join(sorted(found)) or 'nothing'}, nvidia-smi lists {', '.join(sorted(listed))}"
    )


def test_driver(host: Host, settings: ContainerToolkitSettings, facts: HostFacts) -> None:
    """containers get the libraries of the driver that is loaded"""
    leave_out_without_driver(host, facts, "container_toolkit", managed=settings.manage)
    loaded = re.search(r"\d{3}\.[0-9.]+", output_of(host, "cat /proc/driver/nvidia/version"))
    assert loaded, "no driver is loaded"
    found = sorted(set(re.findall(r"libcuda\.so\.(\d[0-9.]+\d)", output_of(host, "cat %s", CDI))))
    assert found == [loaded[0]], f"{CDI} mounts {', '.join(found) or 'no'} libcuda, {loaded[0]} is loaded"


def test_boot(host: Host, settings: ContainerToolkitSettings, facts: HostFacts) -> None:
    """every boot describes the cards anew, and nothing else does"""
    leave_out_without_driver(host, facts, "container_toolkit", managed=settings.manage)
    states = {unit: host.run("systemctl is-enabled %s", unit).stdout.strip() for unit in (UNIT, *OTHERS)}
    assert states[UNIT] == "enabled", f"{UNIT} is {states[UNIT] or 'not there'}, not enabled"
    for other in OTHERS:
        assert states[other] != "enabled", f"{other} writes another description of the same cards"
