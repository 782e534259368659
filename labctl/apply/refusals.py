"""Everything that keeps an apply from beginning, by what is there before: each with what to do about it.

The host's own program refuses again what it can see by itself, for what changes between this look and the start.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from labctl.apply.foreign import Container
from labctl.apply.generation import Generation
from labctl.apply.survey import Card, CardUser, Seen
from labctl.errors import AnswerIsNo, BadInput, Failed, LabctlError
from labctl.place.drivers import too_old_a_driver
from labctl.plan.plan import Plan, PlannedWorkload
from labctl.render import podman
from labctl.render.model_need import NeededModel
from labctl.rig.gpu import Gpu
from labctl.transaction.decision import migrations_refused
from labctl.transaction.manifest import ManagedUnit
from labctl.workloads.service import Service

_MOUNTS = re.compile(r"^(?:VolumeName=(?P<volume>.+)|Volume=(?P<folder>/[^:]*):.*)$", re.MULTILINE)
_READ_ONLY = re.compile(r"^Volume=.*:ro$", re.MULTILINE)


def podman_of(seen: Seen, host: str) -> podman.Version:
    """Raises AnswerIsNo for none, and for one that cannot run what is rendered."""
    if not seen.podman:
        raise AnswerIsNo(
            "there is no Podman", where=host, expected="4.9 or newer", hint="labctl deploy installs it"
        )
    try:
        return podman.version(seen.podman, host)
    except BadInput as problem:  # the host's, and nothing that anybody wrote
        raise AnswerIsNo(
            problem.message, where=host, found=problem.found, expected=problem.expected, hint=problem.hint
        ) from None


def of_running(seen: Seen, host: str, instance: str) -> Iterator[LabctlError]:
    """Of another transaction than `instance`, which would be joined."""
    if seen.running and instance not in seen.running.replace(",", "").split():
        yield Failed(
            "another transaction runs on this host",
            where=host,
            found=seen.running,
            hint="wait for its end, then run the same command: journalctl -fu 'labctl-transaction@*'",
        )


def of_generation(seen: Seen, new: Generation, starting: Sequence[ManagedUnit]) -> Iterator[LabctlError]:
    """What of the host stands in the way of a generation, whatever plan it is of. starting: its units that start."""
    # A host that was last applied to by an earlier labctl does not tell them: it refuses by itself then.
    yield from migrations_refused(new.manifest, (seen.status or {}).get("data_images", {}))
    yield from _names(seen, starting)
    yield from _ports(seen, starting)
    yield from _data(seen, new, starting)
    yield from _memory(seen, new, starting)


def of_cards(
    plan: Plan, host: str, seen: Seen, gpus: Mapping[str, Gpu], services: Mapping[str, Service]
) -> Iterator[LabctlError]:
    """Cards that are not there, that no container can be given, or whose driver a service cannot use.

    gpus: by the plan's name of the model.
    """
    there = {card.uuid: card for card in seen.cards}
    models = {card.id: card.model for each in plan.rig.hosts for card in each.cards}
    gone: set[str] = set()
    for name, planned in sorted(plan.workloads.items()):
        for claim in planned.cards if planned.host == host else ():
            card = there.get(claim.card)
            if card is not None:
                yield from _driver(name, planned, card, gpus.get(models[claim.card]), services)
            if claim.card in gone or (claim.card in there and claim.card in seen.described):
                continue
            gone.add(claim.card)
            yield _no_card(name, claim.card, seen)


def _no_card(name: str, card: str, seen: Seen) -> LabctlError:
    if all(each.uuid != card for each in seen.cards):
        return AnswerIsNo(
            "a card that the plan uses does not answer",
            where=f"{name}, {card}",
            found=", ".join(each.uuid for each in seen.cards) or "no card",
            hint=f"plan again without it: labctl place --without {card}",
        )
    return AnswerIsNo(
        "containers cannot be given this card",
        where=f"{name}, {card}",
        found="it is not described in /etc/cdi or /var/run/cdi",
        hint="labctl deploy --only container_toolkit describes it, labctl doctor says why it is not",
    )


def _driver(
    name: str, planned: PlannedWorkload, card: Card, gpu: Gpu | None, services: Mapping[str, Service]
) -> Iterator[LabctlError]:
    service = services.get(planned.service)
    if service is not None and gpu is not None and (why := too_old_a_driver(service, card.driver, gpu)):
        yield AnswerIsNo(
            "the driver is too old", where=f"{name}, {card.uuid}", found=why, hint="labctl preflight"
        )


def of_models(
    needed: Iterable[NeededModel], present: Collection[str], starting: Collection[str]
) -> Iterator[LabctlError]:
    """Model files that are not whole on the host. starting: workloads that load them now."""
    for each in needed:
        if each.starts_without or each.place in present:
            continue
        for name in each.workloads:
            if name in starting:
                yield AnswerIsNo(
                    "the model is not on the host",
                    where=name,
                    found=f"no {each.place}",
                    hint="labctl models pull",
                )


def _names(seen: Seen, starting: Sequence[ManagedUnit]) -> Iterator[LabctlError]:
    """Quadlet replaces a container of the same name, whosever it is."""
    wanted = {unit.container: unit for unit in starting if unit.container}
    for container in seen.containers:
        if container.name in wanted and not container.ours:
            yield AnswerIsNo(
                "another container has the name",
                where=wanted[container.name].name,
                found=container.words,
                hint=container.how_to_end,
            )


def _ports(seen: Seen, starting: Sequence[ManagedUnit]) -> Iterator[LabctlError]:
    old = {
        (port.port, port.protocol)
        for unit in (seen.generation.manifest.units if seen.generation else ())
        if unit.unit in seen.up
        for port in unit.ports
    }
    for unit in starting:
        for port in unit.ports:
            if (port.port, port.protocol) in old:
                continue
            found = _holder(seen, port.address, port.port, port.protocol)
            if found is not None:
                yield AnswerIsNo(
                    f"port {port.port}/{port.protocol} is taken",
                    where=unit.name,
                    found=found[0],
                    expected=f"{port.address}:{port.port} free",
                    hint=f"{found[1]}, or give {unit.name} another port in the workloads file",
                )


def _holder(seen: Seen, address: str, port: int, protocol: str) -> tuple[str, str] | None:
    """Who, and how to end it."""
    for container in seen.containers:
        if not container.ours and any((each[1], each[2]) == (port, protocol) for each in container.ports):
            return container.words, container.how_to_end
    for listener in seen.listeners:
        if listener.stands_on(address, port, protocol):
            if (inside := _inside(seen, listener.unit)) is not None:
                return inside.words, inside.how_to_end
            unit = listener.unit if listener.unit and listener.unit.endswith(".service") else None
            return listener.words, f"systemctl disable --now {unit}" if unit else "end it"
    return None


def _inside(seen: Seen, unit: str | None) -> Container | None:
    """The container whose scope this is: of one on the host's network only its processes tell."""
    return next((each for each in seen.containers if unit and each.id and each.id in unit), None)


def _data(seen: Seen, new: Generation, starting: Sequence[ManagedUnit]) -> Iterator[LabctlError]:
    """Two programs on one database are the end of it."""
    for path in sorted({path for unit in starting for path in unit.files if path.startswith("units/")}):
        text = _READ_ONLY.sub("", new.text(path))
        for mount in _MOUNTS.finditer(text):
            for container in seen.containers:
                shared = (
                    mount["volume"] in container.volumes
                    if mount["volume"]
                    else _within(mount["folder"], container.folders)
                )
                if shared and not container.ours:
                    yield AnswerIsNo(
                        "its data is in use",
                        where=path.rpartition("/")[2].rpartition(".")[0].removeprefix("labctl-"),
                        found=f"{mount['volume'] or mount['folder']} by {container.words}",
                        hint=container.how_to_end,
                    )


def _within(folder: str, others: Collection[str]) -> bool:
    return any(
        folder == other or folder.startswith(f"{other}/") or other.startswith(f"{folder}/")
        for other in (each.rstrip("/") for each in others)
        if other
    )


def _memory(seen: Seen, new: Generation, starting: Sequence[ManagedUnit]) -> Iterator[LabctlError]:
    """Found now, and not when everything has been stopped for it."""
    wanted: dict[str, list[ManagedUnit]] = {}
    for unit in new.manifest.units:
        for uuid in unit.gpus if unit.start else ():
            wanted.setdefault(uuid, []).append(unit)
    loading = {card for unit in starting for card in unit.gpus}
    for card in seen.cards:
        if card.uuid not in loading:
            continue
        users = [each for each in seen.card_users if each.card == card.uuid and not each.ours]
        taken = sum(each.memory_mib or 0 for each in users)
        needed = sum(unit.gpus[card.uuid] for unit in wanted.get(card.uuid, ()))
        if card.memory_mib is not None and users and needed > card.memory_mib - taken:
            who = ", ".join(_user(seen, each) for each in users)
            inside = next((found for each in users if (found := _inside(seen, each.unit))), None)
            units = sorted({each.unit for each in users if each.unit and each.unit.endswith(".service")})
            end = (
                inside.how_to_end
                if inside
                else f"systemctl disable --now {' '.join(units)}"
                if units
                else "end it"
            )
            yield AnswerIsNo(
                "somebody else holds the card's memory",
                where=f"{', '.join(unit.name for unit in wanted[card.uuid])}, {card.uuid}",
                found=f"{card.memory_mib - taken} MiB left by {who}",
                expected=f"{needed} MiB",
                hint=f"{end}, or plan again around it: labctl place",
            )


def _user(seen: Seen, user: CardUser) -> str:
    inside = _inside(seen, user.unit)
    name = inside.words if inside else user.unit or user.program
    return f"{name} (process {user.pid}, {'?' if user.memory_mib is None else user.memory_mib} MiB)"


def notes(seen: Seen, new: Generation) -> Iterator[str]:
    """What is no refusal now, and may be trouble later."""
    if seen.status and seen.status["open"] and not seen.running:
        yield "an earlier transaction was cut off: the host undoes it first"
    if not any(unit.gpus for unit in new.manifest.units):
        return
    for unit in seen.card_services:
        yield f"{unit} runs: it takes cards by itself, which no plan counts"
    for container in seen.containers:
        if container.cards and not container.ours:
            yield f"{container.words} has cards: what it takes of them no plan counts"
