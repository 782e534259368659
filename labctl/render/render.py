"""Renders a plan for one host: every file, and the manifest that tells the host how to start, stop and watch them.

Same plan, same catalogue, same facts, same bytes. A file changes only with what its own workload asks for. Of others
it has the networks and addresses of those that it uses; and Ollama and ComfyUI, which take what is free of a card, are
told what others claim there.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Literal

from labctl.errors import BadInput
from labctl.plan.plan import Plan, PlannedWorkload
from labctl.plan.plan_json import dump
from labctl.render import names
from labctl.render.container import container_text, model_file, networks
from labctl.render.host import HostFacts
from labctl.render.needed_files import is_looked_for, look_path, look_text
from labctl.render.start_lock import lock_path, lock_text
from labctl.render.storage import mounts, volume_text
from labctl.render.unit_text import UnitText
from labctl.render.values import LOOPBACK, Asked
from labctl.render.window import timer_text
from labctl.transaction.layout import TARGET
from labctl.transaction.manifest import PLAN_NAME, Image, ManagedUnit, Manifest, Port, staged_file
from labctl.workloads.container import Container
from labctl.workloads.service import Service

# systemd warns of a unit file of its own that not everybody can read; Quadlet's may hold environment.
_PLAIN, _PRIVATE = "644", "600"
_HASH_DIGITS = 16
_BY_HAND = "What is changed here by hand is overwritten by the next apply."


@dataclass(frozen=True)
class NeededSecret:
    """A Podman secret that some unit refers to. variable: in a workload's `env`, whose value is the person's.

    made: `random` ones of so many characters, the first time; `given` and `written` are the person's own.
    """

    name: str
    workload: str
    made: Literal["random", "given", "written"]
    characters: int | None = None
    variable: str | None = None


@dataclass(frozen=True)
class Rendered:
    """What one host is to run. files: content by the stage's paths, the plan itself among them.

    secrets: what must be there before the first start, by name; a `given` one only where the host has it. model_files:
    below the host's folder of models, by workload. held_back: the catalogue's image of what stays on another one
    because its data is of that, by what messages call it.
    """

    files: Mapping[str, bytes]
    manifest: Manifest
    secrets: tuple[NeededSecret, ...]
    model_files: Mapping[str, str]
    held_back: Mapping[str, str]


def render(plan: Plan, host: str, services: Mapping[str, Service], facts: HostFacts) -> Rendered:
    """What `host` runs of the plan. services: of the catalogue, by name, those of used workloads among them.

    Raises BadInput for two things of one name, a service that the catalogue does not have, a secret in `args`, and a
    workload that uses one on another host.
    """
    making = _Making(plan, services, facts)
    for name, planned in sorted(plan.workloads.items()):
        if planned.host == host:
            making.workload(name, planned)
    return making.rendered()


def workload_hash(planned: PlannedWorkload) -> str:
    """Of what of a plan reaches a workload's files: no estimate that changes nothing of how it is run."""
    cards = tuple(replace(each, low_mib=0, expected_mib=0, parts_mib=None) for each in planned.cards)
    told = replace(planned, cards=cards, rank=0, tokens_per_second=None, disk_mib=0, exclusive=False)
    text = json.dumps(asdict(told), sort_keys=True, separators=(",", ":"))
    return f"sha256:{sha256(text.encode()).hexdigest()[:_HASH_DIGITS]}"


def _wanted_mib(asked: Asked) -> dict[str, int]:
    """What must be free of its cards before it starts.

    An engine that fills a card claims all of it, and is placed beside what a desktop holds there all the same.
    """
    return {
        each.card: asked.service.least_free_mib if asked.planned.elastic else each.high_mib
        for each in asked.planned.cards
    }


class _Making:
    def __init__(self, plan: Plan, services: Mapping[str, Service], facts: HostFacts) -> None:
        self._plan, self._services, self._facts = plan, services, facts
        self._files: dict[str, tuple[bytes, str]] = {PLAN_NAME: (dump(plan).encode(), _PRIVATE)}
        self._units: dict[str, ManagedUnit] = {}
        self._owners: dict[str, str] = {}
        self._images: set[str] = set()
        self._secrets: dict[str, NeededSecret] = {}
        self._model_files: dict[str, str] = {}
        self._held_back: dict[str, str] = {}

    def workload(self, name: str, planned: PlannedWorkload) -> None:
        """Everything of one workload."""
        self._refuse_far(name, planned)
        service = self._services.get(planned.service)
        if service is None:
            raise BadInput(
                "the catalogue has no such service", where=f"{name}.service", found=planned.service
            )
        asked = Asked(name, planned, service, self._plan, self._services, self._facts)
        # Without the hash: a network's users and a database are not to start anew for a change of the first container.
        header = (f"Written by labctl for the workload {name}.", _BY_HAND)
        if place := model_file(asked):
            self._model_files[name] = place
        self._networks(asked, header)
        self._volumes(asked, header)
        if asked.loads_alone:
            self._file(lock_path(asked), lock_text(asked, header), name, _PLAIN)
            self._unit(ManagedUnit(name, names.lock(name), (lock_path(asked),), start=False), name)
        for container in service.containers:
            of_plan = (f"{header[0][:-1]}, plan {workload_hash(planned)}.", _BY_HAND)
            self._container(asked, container, of_plan if container is service.first else header)
        if planned.when is not None:
            path = f"systemd/{names.timer(name)}"
            self._file(path, timer_text(asked, header), name, _PLAIN)
            self._unit(ManagedUnit(name, names.timer(name), (path,), health="notify"), name)
        if is_looked_for(asked):
            self._file(look_path(asked), look_text(asked, header), name, _PLAIN)
            self._unit(ManagedUnit(name, names.look(name), (look_path(asked),), start=False), name)
        self._needed(asked)

    def _refuse_far(self, name: str, planned: PlannedWorkload) -> None:
        for each in planned.uses:
            used = self._plan.workloads.get(each)
            if used is not None and used.host != planned.host:
                raise BadInput(
                    "what it uses runs on another host, where it cannot reach it",
                    where=f"{name}.uses",
                    found=f"{each} on {used.host}",
                    expected=f"{each} on {planned.host}",
                    hint=f"give {name} `gpus: {{host: {used.host}}}` in the workloads file and place again",
                )

    def _networks(self, asked: Asked, header: tuple[str, ...]) -> None:
        for network in (names.network(asked.name), names.uses_network(asked.name, asked.service)):
            path, unit = f"units/{network}.network", f"{network}-network.service"
            if path in self._files and self._owners[path] == asked.name:
                continue  # one network is both where no container is beside the first
            text = UnitText(self._facts.podman)
            text.say("Unit", "Description", f"network {network}, placed by labctl")
            has_timer = asked.planned.when is not None and network == names.network(asked.name)
            if has_timer:
                text.remark("Unit", "Nothing else of this workload comes with the others.")
                text.say("Unit", "Wants", names.timer(asked.name))
            text.say("Network", "NetworkName", network)
            text.say("Network", "Label", f"labctl.workload={asked.name}")
            if has_timer:
                text.say("Install", "WantedBy", TARGET)
            self._file(path, text.text(header), asked.name, _PRIVATE)
            made = ManagedUnit(asked.name, unit, (path,), kind="network", health="notify", network=network)
            self._unit(made, asked.name)

    def _volumes(self, asked: Asked, header: tuple[str, ...]) -> None:
        for container in asked.service.containers:
            for mount in mounts(asked, container):
                path, unit = f"units/{mount.volume}.volume", f"{mount.volume}-volume.service"
                if mount.volume is None or self._owners.get(path) == asked.name:
                    continue
                self._file(path, volume_text(asked, mount, header), asked.name, _PRIVATE)
                made = ManagedUnit(asked.name, unit, (path,), kind="volume", health="notify")
                self._unit(made, asked.name)

    def _container(self, asked: Asked, container: Container, header: tuple[str, ...]) -> None:
        is_first = container is asked.service.first
        stem = names.stem(asked.name, container, asked.service)
        path, made = f"units/{stem}.container", container_text(asked, container, header)
        self._file(path, made.text, asked.name, _PRIVATE)
        self._images.add(made.image)
        on = networks(asked, is_first=is_first)
        volumes = [each.volume for each in mounts(asked, container) if each.volume]
        before = [
            names.stem(asked.name, asked.service.container(each), asked.service) for each in container.after
        ]
        unit = ManagedUnit(
            name=asked.name if is_first else f"{asked.name}-{container.name}",
            unit=names.unit(stem),
            files=(
                path,
                *(f"units/{each}.network" for each in on),
                *(f"units/{each}.volume" for each in volumes),
            ),
            after=(
                *(f"{each}-network.service" for each in on),
                *(f"{each}-volume.service" for each in volumes),
                *(names.unit(each) for each in before),
            ),
            start=not asked.started_by_hand,
            health="notify" if container.health else "active",
            container=stem,
            start_timeout_seconds=container.start_seconds,
            stop_timeout_seconds=container.stop_seconds,
            gpus=_wanted_mib(asked) if is_first else {},
            ports=tuple(Port(LOOPBACK, each.host, each.protocol) for each in asked.planned.ports)
            if is_first
            else (),
            image=made.image,
            migrates=asked.service.moves_alone(container),
            yields_to=self._jobs_before(asked) if is_first else (),
        )
        self._unit(unit, asked.name)
        if made.held_back is not None:
            self._held_back[unit.name] = made.held_back

    def _jobs_before(self, asked: Asked) -> tuple[str, ...]:
        """The units of those for which it steps aside."""
        here = (
            name
            for name, other in sorted(self._plan.workloads.items())
            if other.host == asked.planned.host and asked.name in other.displaces
        )
        return tuple(names.unit(names.stem(name)) for name in here)

    def _needed(self, asked: Asked) -> None:
        for secret in asked.service.secrets:
            name = names.secret(asked.name, secret.name)
            if secret.made == "random" or name in self._facts.secrets:
                self._secret(NeededSecret(name, asked.name, secret.made, secret.characters))
        for place in asked.planned.secrets:
            if place.startswith("env."):
                variable = place.removeprefix("env.")
                name = self._facts.variable_secret(names.variable_secret(asked.name, variable))
                self._secret(NeededSecret(name, asked.name, "written", variable=variable))

    def _secret(self, secret: NeededSecret) -> None:
        self._once(f"the secret {secret.name}", secret.workload)
        self._secrets[secret.name] = secret

    def _file(self, path: str, text: str, workload: str, mode: str) -> None:
        self._once(path, workload)
        self._files[path] = text.encode(), mode

    def _unit(self, unit: ManagedUnit, workload: str) -> None:
        self._once(unit.unit, workload)
        self._units[unit.unit] = unit

    def _once(self, name: str, workload: str) -> None:
        """Two workloads whose parts would be one: `a` with a volume `b-c`, and `a-b` with a volume `c`."""
        other = self._owners.setdefault(name, workload)
        if other != workload or name in self._units:
            raise BadInput(
                "two workloads would share what each calls its own",
                where=f"{other}, {workload}",
                found=name,
                hint="call one of them otherwise",
            )

    def rendered(self) -> Rendered:
        """All of it, in an order that follows from the names alone."""
        return Rendered(
            files={path: content for path, (content, _) in sorted(self._files.items())},
            manifest=Manifest(
                files=tuple(
                    staged_file(path, content, mode) for path, (content, mode) in sorted(self._files.items())
                ),
                units=tuple(self._in_line(unit) for _, unit in sorted(self._units.items())),
                images=tuple(Image(each) for each in sorted(self._images)),
            ),
            secrets=tuple(secret for _, secret in sorted(self._secrets.items())),
            model_files=dict(sorted(self._model_files.items())),
            held_back=dict(sorted(self._held_back.items())),
        )

    def _in_line(self, unit: ManagedUnit) -> ManagedUnit:
        """After the others on its cards whose names come first, so that the host waits for one at a time.

        Their locks see to the same at boot; here each has its whole time to become healthy.
        """
        if not unit.gpus or not unit.start:
            return unit
        before = [
            each.unit
            for each in self._units.values()
            if each.start and each.unit < unit.unit and each.gpus.keys() & unit.gpus.keys()
        ]
        return replace(unit, after=(*unit.after, *sorted(before)))
