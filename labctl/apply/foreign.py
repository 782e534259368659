"""What runs on a host and is not labctl's: containers, compose projects and programs, and what of a host they hold."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.rig.our_names import OUR_LABEL, OUR_PREFIX
from labctl.rig.reported import unit_of

_PROJECTS = ("com.docker.compose.project", "io.podman.compose.project")
_EVERYWHERE = ("0.0.0.0", "[::]", "*", "::", "")  # noqa: S104 - what `ss` and container engines say, nothing is bound
_USER = re.compile(r'"([^"]+)",pid=(\d+)')


@dataclass(frozen=True)
class Listener:
    """A program that listens. unit: the systemd unit it belongs to; of a container a scope named after that."""

    address: str
    port: int
    protocol: str
    program: str
    pid: int | None
    unit: str | None

    @property
    def words(self) -> str:
        """As a person looks for it."""
        if self.unit and not self.unit.endswith(".scope"):
            return f"{self.program} of {self.unit}"
        return f"{self.program} (process {self.pid})" if self.pid else self.program

    def stands_on(self, address: str, port: int, protocol: str) -> bool:
        """Whether nobody else can have that."""
        here = self.address in (address, *_EVERYWHERE) or address in _EVERYWHERE
        return here and (self.port, self.protocol) == (port, protocol)


@dataclass(frozen=True)
class Container:
    """A container that runs. project: of compose. volumes: by name; folders: of the host. ports: of the host, with
    their protocol. cards: whether it was given any.
    """

    name: str
    ours: bool
    id: str = ""
    project: str | None = None
    volumes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    ports: tuple[tuple[str, int, str], ...] = ()
    cards: bool = False

    @property
    def words(self) -> str:
        """As a person looks for it."""
        return f"container {self.name}" + (f" of the compose project {self.project}" if self.project else "")

    @property
    def how_to_end(self) -> str:
        """A clause."""
        if self.project:
            return f"end it with `compose --project-name {self.project} down`, which keeps its volumes"
        return f"stop and remove {self.name}, after a look at its volumes"


def listeners(text: str, cgroups: Mapping[int, str]) -> Iterator[Listener]:
    """Of `ss -Hlntup`."""
    for line in text.splitlines():
        columns = line.split()
        if len(columns) < 5:
            continue
        address, _, port = columns[4].rpartition(":")
        user = _USER.search(line)
        pid = int(user[2]) if user else None
        if port.isdigit():
            yield Listener(
                address.partition("%")[0],
                int(port),
                columns[0],
                user[1] if user else "a program",
                pid,
                unit_of(cgroups.get(pid, ""))[0] if pid else None,
            )


def ours(text: str) -> Iterator[Container]:
    """Of lines with the ID and the name of each container of ours."""
    for line in text.splitlines():
        if line.strip():
            of, name = line.split()
            yield Container(name, ours=True, id=of)


def containers(text: str) -> Iterator[Container]:
    """Of what `podman container inspect` and docker's print, one list after the other."""
    decoder, at = json.JSONDecoder(), 0
    text = text.strip()
    while at < len(text):
        found, end = decoder.raw_decode(text, at)
        yield from map(_container, found)
        at = end + len(text[end:]) - len(text[end:].lstrip())


def _container(about: Mapping[str, Any]) -> Container:
    labels = (about.get("Config") or {}).get("Labels") or {}
    host = about.get("HostConfig") or {}
    # What was asked for, and what came of a port that nobody named.
    ports = (host.get("PortBindings") or {}, (about.get("NetworkSettings") or {}).get("Ports") or {})
    mounts = about.get("Mounts") or []
    name = str(about["Name"]).removeprefix("/")
    return Container(
        name=name,
        ours=OUR_LABEL in labels and name.startswith(OUR_PREFIX),
        id=str(about.get("Id", "")),
        project=next((str(labels[key]) for key in _PROJECTS if labels.get(key)), None),
        volumes=tuple(
            str(each["Name"]) for each in mounts if each.get("Type") == "volume" and each.get("Name")
        ),
        folders=tuple(str(each["Source"]) for each in mounts if each.get("Type") == "bind"),
        ports=tuple(dict.fromkeys(port for each in ports for port in _ports(each))),
        cards=bool(host.get("DeviceRequests")) or _has_cards(host.get("Devices") or []),
    )


def _ports(bindings: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    for inner, outer in bindings.items():
        for each in outer or ():
            if str(each.get("HostPort", "")).isdigit():
                yield str(each.get("HostIp") or ""), int(each["HostPort"]), inner.partition("/")[2] or "tcp"


def _has_cards(devices: list[Any]) -> bool:
    return any("nvidia" in str(each) for each in devices)
