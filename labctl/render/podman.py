"""What each Podman's Quadlet understands. A key that it does not know makes it skip the whole file."""

import re
from dataclasses import dataclass

from labctl.errors import BadInput

Version = tuple[int, int]
# Of all tables: pkg/systemd/quadlet/quadlet.go of containers/podman at v4.9.3, v5.0.0 and v5.4.2, and the manual page
# podman-systemd.unit(5) of the same tags.
OLDEST: Version = (4, 9)
DEBIAN_13: Version = (5, 4)


@dataclass(frozen=True)
class Key:
    """A key of a Quadlet file. since: the first Podman that has it; before: what an older one is told instead.

    In `before`, {} is the value.
    """

    since: Version = OLDEST
    before: str | None = None


_CONTAINER = {
    **dict.fromkeys(
        (
            "AddCapability",
            "AddDevice",
            "ContainerName",
            "DropCapability",
            "Environment",
            "Exec",
            "Group",
            "HealthCmd",
            "HealthInterval",
            "HealthOnFailure",
            "HealthRetries",
            "HealthStartPeriod",
            "HealthStartupCmd",
            "HealthStartupInterval",
            "HealthStartupTimeout",
            "HealthTimeout",
            "Image",
            "Label",
            "LogDriver",
            "Network",
            "NoNewPrivileges",
            "PidsLimit",
            "PodmanArgs",
            "PublishPort",
            "Pull",
            "ReadOnly",
            "RunInit",
            "Secret",
            "ShmSize",
            "Tmpfs",
            "Ulimit",
            "User",
            "Volume",
        ),
        Key(),
    ),
    "Entrypoint": Key((5, 0), "--entrypoint={}"),
    # Quadlet writes its own --sdnotify first; of two the later one counts.
    "Notify": Key((5, 0), "--sdnotify={}"),
    "StopTimeout": Key((5, 0), "--stop-timeout={}"),
}
_NETWORK = dict.fromkeys(("Label", "NetworkName"), Key())
_VOLUME = dict.fromkeys(("Group", "Label", "User", "VolumeName"), Key())
KEYS: dict[str, dict[str, Key]] = {"Container": _CONTAINER, "Network": _NETWORK, "Volume": _VOLUME}


def version(text: str, where: str = "podman --version") -> Version:
    """Of `podman --version` or what a person writes: `5.4.2`, `4.9.3+ds1-1ubuntu0.2`. Raises BadInput.

    where: what the message says it came from.
    """
    found = re.search(r"(?<![\d.])(\d{1,2})\.(\d{1,3})(?!\d)", text)
    if found is None:
        raise BadInput("this is no version of Podman", where=where, found=text[:60], expected="as 5.4")
    number = int(found[1]), int(found[2])
    if number < OLDEST:
        raise BadInput(
            "this Podman is too old",
            where=where,
            found=".".join(map(str, number)),
            expected="4.9 or newer",
            hint="Debian 13 and Ubuntu 24.04 have one that does",
        )
    return number


def line(section: str, key: str, value: str, podman: Version) -> tuple[str, str]:
    """Key and value as this Podman takes them. Raises KeyError for a key of Quadlet's that stands in no table."""
    if section not in KEYS:
        return key, value  # systemd's own
    known = KEYS[section][key]
    if podman >= known.since:
        return key, value
    assert known.before is not None, key
    return "PodmanArgs", known.before.format(value)
