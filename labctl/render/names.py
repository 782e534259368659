"""What everything of a workload is called on the host. One place, for whoever has to find it there again.

Names of workloads have no underscore, so what has one is never a workload's.
"""

import re

from labctl.rig.our_names import OUR_PREFIX
from labctl.workloads.container import Container
from labctl.workloads.service import Service

_VERSION = re.compile(r"(?P<name>[a-z0-9-]+-env_[A-Za-z0-9_]+)\.[0-9a-f]{8}")


def stem(workload: str, container: Container | None = None, service: Service | None = None) -> str:
    """Of a container's unit, and the container's own name, by which others reach it on their network.

    container: None for the first one.
    """
    is_first = container is None or (service is not None and container.name == service.first.name)
    return (
        f"{OUR_PREFIX}{workload}"
        if is_first or container is None
        else f"{OUR_PREFIX}{workload}-{container.name}"
    )


def unit(file_stem: str) -> str:
    """The systemd unit of a .container file."""
    return f"{file_stem}.service"


def network(workload: str) -> str:
    """The network of a workload's containers, and the stem of its file."""
    return f"{OUR_PREFIX}{workload}"


def uses_network(workload: str, service: Service) -> str:
    """The network on which others reach its first container: a database beside that one is out of their reach."""
    return network(workload) if len(service.containers) == 1 else f"{OUR_PREFIX}{workload}_uses"


def volume(workload: str, name: str) -> str:
    """The Podman volume."""
    return f"{workload}-{name}"


def volume_stem(workload: str, name: str) -> str:
    """Of its file."""
    return f"{OUR_PREFIX}{workload}-{name}"


def secret(workload: str, name: str) -> str:
    """The Podman secret that the catalogue speaks of."""
    return f"{workload}-{name}"


def variable_secret(workload: str, variable: str) -> str:
    """The Podman secret with what a person wrote in `env` and nobody else should read."""
    return f"{workload}-env_{variable}"


def secret_version(name: str, digits: str) -> str:
    """Another value of a `variable_secret`, beside the one that a generation before it still takes.

    digits: eight hexadecimal ones, by chance: what followed from the value would help to guess it.
    """
    return f"{name}.{digits}"


def without_version(name: str) -> str:
    """Which secret it is a value of; the name itself where it is no version."""
    found = _VERSION.fullmatch(name)
    return found["name"] if found else name


def lock(workload: str) -> str:
    """The unit that holds the cards while the workload loads."""
    return f"{OUR_PREFIX}{workload}_start.service"


def look(workload: str) -> str:
    """The unit that looks for a job's files at its time, before anything steps aside."""
    return f"{OUR_PREFIX}{workload}_look.service"


def timer(workload: str) -> str:
    """The unit that starts a workload at its time."""
    return f"{OUR_PREFIX}{workload}.timer"
