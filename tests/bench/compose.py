"""What labctl gives Quadlet, said as a compose file: the same containers for podman-compose.

Every key of a unit has its place here or is refused, so that neither side is asked for less.
"""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from labctl.errors import BadInput

_Place = tuple[str, Callable[[str], Any]]
# How systemd runs it, and where its generator takes it from; and folders that the host is given once.
_SYSTEMD = {
    ("Unit", "Description"),
    ("Unit", "Documentation"),
    ("Unit", "StartLimitIntervalSec"),
    ("Service", "ExecStartPre"),
    ("Service", "RestartSec"),
    ("Service", "RestartSteps"),
    ("Service", "RestartMaxDelaySec"),
    ("Service", "TimeoutStartSec"),
    ("Service", "TimeoutStopSec"),
    ("Install", "WantedBy"),
}
# Lists are joined: the key may be there several times.
_CONTAINER: Mapping[tuple[str, str], _Place] = {
    ("Container", "Image"): ("image", str),
    ("Container", "ContainerName"): ("container_name", str),
    ("Container", "Label"): ("labels", lambda text: [text]),
    ("Container", "Exec"): ("command", shlex.split),
    ("Container", "Environment"): ("environment", lambda text: [text]),
    ("Container", "Volume"): ("volumes", lambda text: [text]),
    ("Container", "Network"): ("networks", lambda text: [text.removesuffix(".network")]),
    ("Container", "PublishPort"): ("ports", lambda text: [text]),
    ("Container", "DropCapability"): ("cap_drop", lambda text: [text]),
    ("Container", "AddCapability"): ("cap_add", lambda text: [text]),
    ("Container", "NoNewPrivileges"): ("security_opt", lambda text: [f"no-new-privileges:{text}"]),
    ("Container", "PidsLimit"): ("pids_limit", int),
    ("Container", "StopTimeout"): ("stop_grace_period", lambda text: f"{text}s"),
    ("Container", "LogDriver"): ("logging", lambda text: {"driver": text}),
    ("Service", "Restart"): ("restart", str),
    ("Service", "MemoryMax"): ("mem_limit", str.lower),
    ("Service", "CPUQuota"): ("cpus", lambda text: int(text.removesuffix("%")) / 100),
}
_NETWORK: Mapping[tuple[str, str], _Place] = {
    ("Network", "NetworkName"): ("name", str),
    ("Network", "Label"): ("labels", lambda text: [text]),
}
_KINDS = {"container": ("services", _CONTAINER), "network": ("networks", _NETWORK)}


def compose_file(units: Mapping[str, str]) -> str:
    """A compose file, as JSON, which is YAML. units: texts by file name.

    Raises BadInput for a unit of another kind, and for a key that has no place in it.
    """
    document: dict[str, dict[str, Any]] = {}
    for file, text in sorted(units.items()):
        name, _, kind = file.rpartition(".")
        if kind not in _KINDS:
            raise BadInput("no compose file says this", where=file, found=kind)
        section, places = _KINDS[kind]
        document.setdefault(section, {})[name] = _said(file, text, places)
    return json.dumps(document, indent=2) + "\n"


def _said(file: str, text: str, places: Mapping[tuple[str, str], _Place]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place, value in _keys(text):
        if place in places:
            key, said = places[place]
            one = said(value)
            found[key] = [*found.get(key, []), *one] if isinstance(one, list) else one
        elif place not in _SYSTEMD:
            raise BadInput("no compose file says this", where=file, found="[{}] {}".format(*place))
    return found


def _keys(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Section and key, and the value, of each line that is one."""
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            yield (section, key), value
