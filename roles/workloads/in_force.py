"""The generation in force as the checks see it: what each workload should be, and one script that says what it is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.apply import survey
from labctl.apply.foreign import Listener
from labctl.apply.generation import Generation
from labctl.plan.plan import Plan, PlannedPort, PlannedWorkload
from labctl.plan.plan_json import load
from labctl.render import names
from labctl.rig.host_report import sections
from labctl.status import question
from labctl.status.host import asked, containers
from labctl.status.question import Now
from labctl.status.states import displacers, is_begun
from labctl.transaction.manifest import PLAN_NAME, ManagedUnit
from labctl.workloads.container import Answer
from labctl.workloads.service import Service

_SECONDS = 10
# More than any page that says whose it is; one that never ends must not fill the host's memory.
_MOST_BYTES = 1_000_000
_SHOWN = 80
_DEVICE = re.compile(r"nvidia\.com/gpu=(\S+)")
_UUID = re.compile(r"GPU-[0-9a-f-]{36}")


@dataclass(frozen=True)
class Expected:
    """One workload in force. answers: by port of the host; None where it speaks no HTTP that anybody knows.

    volumes: Podman's; folders: of the host.
    """

    name: str
    planned: PlannedWorkload
    units: tuple[ManagedUnit, ...]
    answers: Mapping[int, Answer | None] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def first(self) -> ManagedUnit:
        """That of the container whose ports are published."""
        return self.units[0]

    @property
    def timer(self) -> str | None:
        """What starts it at its time."""
        return names.timer(self.name) if self.planned.when else None


@dataclass(frozen=True)
class Found:
    """What a host said. said: what each port answered, None for what it should say; cards: what nvidia-smi lists in a
    container, None where it cannot be asked. volumes, folders: those that are there. answering: the host's cards.
    """

    now: Now
    listeners: tuple[Listener, ...]
    said: Mapping[int, str | None]
    cards: Mapping[str, frozenset[str] | None]
    volumes: frozenset[str]
    folders: frozenset[str]
    answering: frozenset[str] = frozenset()
    aside: Mapping[str, str] = field(default_factory=dict)

    def given(self, container: str) -> frozenset[str]:
        """The cards that a container was made with."""
        made = self.now.containers.get(container, {}).get("Config", {}).get("CreateCommand") or []
        return frozenset(match for word in made for match in _DEVICE.findall(str(word)))

    def silent_cards(self, planned: PlannedWorkload) -> tuple[str, ...]:
        """Those of a workload's cards that do not answer while others do."""
        return tuple(card for card in planned.card_ids if self.answering and card not in self.answering)

    def published(self, container: str) -> frozenset[tuple[str, int, str]]:
        """Address, port and protocol of the host's that lead to a container."""
        about = self.now.containers.get(container, {})
        bindings: Mapping[str, Any] = about.get("HostConfig", {}).get("PortBindings") or {}
        return frozenset(
            (str(each.get("HostIp") or "0.0.0.0"), int(each["HostPort"]), inner.partition("/")[2] or "tcp")  # noqa: S104 - what Podman means by no address
            for inner, outer in bindings.items()
            for each in outer or ()
        )

    def on_hosts_network(self, container: str) -> bool:
        """Whether it has no network of its own."""
        about = self.now.containers.get(container, {})
        return str(about.get("HostConfig", {}).get("NetworkMode", "")) == "host"


def expected(seen: survey.Seen, services: Mapping[str, Service]) -> tuple[Expected, ...]:
    """By name; nothing where no generation is in force. Raises BadInput for a plan that cannot be read."""
    if seen.generation is None:
        return ()
    plan = plan_in(seen.generation)
    return tuple(
        _expected(
            seen.generation, name, plan.workloads[name], units, services.get(plan.workloads[name].service)
        )
        for name, units in containers(seen.generation, plan).items()
    )


def plan_in(generation: Generation) -> Plan:
    """The plan of a generation."""
    return load(generation.files.get(PLAN_NAME, b""), PLAN_NAME)


def _expected(
    generation: Generation,
    name: str,
    planned: PlannedWorkload,
    units: tuple[ManagedUnit, ...],
    service: Service | None,
) -> Expected:
    mounts = list(_mounts(generation, units))
    return Expected(
        name,
        planned,
        units,
        {port.host: _answer(port, service) for port in planned.ports if port.protocol == "tcp"},
        tuple(sorted({source for is_volume, source in mounts if is_volume})),
        tuple(sorted({source for is_volume, source in mounts if not is_volume})),
    )


def _answer(port: PlannedPort, service: Service | None) -> Answer | None:
    known = service.ports if service else ()
    return next((each.answers for each in known if each.container == port.container), None)


def _mounts(generation: Generation, units: Iterable[ManagedUnit]) -> Iterator[tuple[bool, str]]:
    """Whether it is a volume of Podman's, and its name or the folder: as the units in force say."""
    for unit in units:
        for line in _values(generation.text(unit.files[0]), "Volume"):
            source = line.partition(":")[0]
            if source.endswith(".volume"):
                yield True, next(_values(generation.text(f"units/{source}"), "VolumeName"), source)
            else:
                yield False, source


def _values(text: str, key: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith(f"{key}="):
            yield line.partition("=")[2].replace("%%", "%")


def script(seen: survey.Seen, wanted: tuple[Expected, ...]) -> str:
    """Asks for everything that `found` reads; run as root."""
    assert seen.generation is not None, "there is nothing to ask about"
    about = asked(seen.generation, plan_in(seen.generation))
    parts = [question.script(question.Asked(about.units, about.containers), cards=False), "section answers"]
    for each in wanted:
        parts += [_ask(port, answer) for port, answer in each.answers.items()]
    parts.append("section cards")
    for container in about.containers:
        name = shlex.quote(container)
        parts.append(
            f"printf '%s ' {name}; timeout 30 podman exec {name} nvidia-smi -L 2>&1 </dev/null | "
            "grep -oE 'GPU-[0-9a-f-]{36}|No devices|not found' | tr '\\n' ' '; echo"
        )
    volumes = sorted({volume for each in wanted for volume in each.volumes})
    folders = sorted({folder for each in wanted for folder in each.folders})
    parts.append("section volumes")
    parts += [f"! podman volume exists {shlex.quote(each)} || echo {shlex.quote(each)}" for each in volumes]
    parts.append("section folders")
    parts += [f"[ ! -e {shlex.quote(each)} ] || echo {shlex.quote(each)}" for each in folders]
    return "\n".join((*parts, "section checked", ""))


def _ask(port: int, answer: Answer | None) -> str:
    """A line: the port, and what it says instead of what it should."""
    url = f"http://127.0.0.1:{port}{answer.path if answer else '/'}"
    if answer is None:
        # Whatever it speaks: somebody takes the connection.
        return (
            f"curl -s -o /dev/null --max-time {_SECONDS} {url}; "
            f"[ $? -ne 7 ] && echo '{port} yes' || echo '{port} no nobody takes a connection'"
        )
    return (
        f"said=$(curl -sS --max-time {_SECONDS} {shlex.quote(url)} 2>&1 | head -c {_MOST_BYTES} | tr -d '\\000'); "
        f"case $said in *{shlex.quote(answer.says)}*) echo '{port} yes' ;; "
        f"*) printf '{port} no %s\\n' \"$(printf %s \"$said\" | tr '\\n' ' ' | cut -c1-{_SHOWN})\" ;; esac"
    )


def found(seen: survey.Seen, wanted: tuple[Expected, ...], output: str) -> Found:
    """Read what `script` printed."""
    parts = sections(output)
    now = question.parse(output)
    begun = [each.name for each in wanted if is_begun(now.units[each.first.unit])]
    return Found(
        now=now,
        listeners=seen.listeners,
        said={
            int(port): None if verdict == "yes" else (rest or "nothing")
            for port, verdict, rest in re.findall(r"^(\d+) (yes|no) ?(.*)$", parts["answers"], re.MULTILINE)
        },
        cards=dict(_cards(parts["cards"])),
        volumes=frozenset(parts["volumes"].splitlines()),
        folders=frozenset(parts["folders"].splitlines()),
        answering=frozenset(card.uuid for card in seen.cards),
        aside=displacers({each.name: each.planned for each in wanted}, begun),
    )


def _cards(text: str) -> Iterator[tuple[str, frozenset[str] | None]]:
    for line in text.splitlines():
        container, _, rest = line.partition(" ")
        listed = frozenset(_UUID.findall(rest))
        yield container, listed if listed or "No devices" in rest else None
