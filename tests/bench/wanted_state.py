"""What labctl wants of a host, as files for an Ansible playbook and as names to hold the playbook against."""

from dataclasses import dataclass
from pathlib import Path

from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.packages import Packages
from labctl.hoststate.units import Unit
from roles.base.deploy import base
from roles.container_toolkit.deploy import container_toolkit
from roles.cuda.deploy import cuda
from roles.firewall.deploy import firewall
from roles.firewall.ruleset import RULES, Ruleset
from roles.gpu_power.deploy import gpu_power
from roles.gpu_tuning.deploy import gpu_tuning
from roles.monitoring.deploy import monitoring
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_persistence.deploy import nvidia_persistence
from roles.podman.deploy import podman
from roles.workloads.deploy import workloads

# As in deploy/gpu_host.py.
ROLES = (
    base,
    firewall,
    nvidia_driver,
    cuda,
    nvidia_persistence,
    container_toolkit,
    podman,
    monitoring,
    gpu_power,
    gpu_tuning,
    workloads,
)


@dataclass(frozen=True)
class WantedState:
    """files: those with content, at their paths on the host. absent: paths of files that must not be."""

    files: tuple[File, ...]
    absent: tuple[str, ...]
    packages: frozenset[str]
    units: frozenset[str]


def wanted_state(facts: HostFacts) -> WantedState:
    """What the roles want of a host with `facts` and the default settings."""
    files: list[File] = []
    packages: set[str] = set()
    units: set[str] = set()
    for one in ROLES:
        for resource in one.role.resources(one.role.settings(), facts):
            match resource:
                case Files():
                    files += resource.files
                case Ruleset():
                    files.append(File(RULES, resource.rules, mode="600"))
                case Packages():
                    packages.update(resource.present)
                case Unit():
                    units.add(resource.unit)
                case _:
                    pass  # a condition of its own, which has no name outside labctl
    return WantedState(
        files=tuple(file for file in files if file.content is not None),
        absent=tuple(file.path for file in files if file.content is None),
        packages=frozenset(packages),
        units=frozenset(units),
    )


def write_files(state: WantedState, folder: Path) -> None:
    """Write every file below `folder` at the path it has on the host."""
    for file in state.files:
        path = folder / file.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content or "")
