"""What a service's schema cannot see: parts of it that contradict each other, or name what is not there."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

from labctl.workloads.container import AddressOf, Container, Setting
from labctl.workloads.service import Area, Service
from labctl.yaml_document import Path

# Tags that are given to another image with the next build.
MOVING_TAGS = frozenset(
    (
        "latest",
        "stable",
        "main",
        "master",
        "edge",
        "nightly",
        "dev",
        "develop",
        "rolling",
        "next",
        "server",
        "cuda",
    )
)


@dataclass(frozen=True)
class Contradiction:
    """path: of the key. found, expected, hint: as an error says them."""

    path: Path
    message: str
    found: str | None = None
    expected: str | None = None
    hint: str | None = None


def contradictions(service: Service) -> Iterator[Contradiction]:
    """Each of them, in the order in which they are best mended."""
    names = [each.name for each in service.containers]
    yield from _twice(("containers",), names, "name")
    yield from _model(service)
    yield from _cards(service)
    yield from _memory(service)
    for index, container in enumerate(service.containers):
        at: Path = ("containers", index)
        yield from _image(at, container, may_be_open=index == 0)
        yield from _names(at, container, service, names)
        yield from _volumes(at, container)
        yield from _health(at, container, service)
        yield from _security(at, container)
        yield from _unsourced(container, service)
    yield from _circles(service)
    yield from _shared_volumes(service)
    yield from _state(service)
    yield from _secrets(service)
    kept = [each.name for each in service.first.volumes if each.keeps == "state"]
    for index, needed in enumerate(service.needs_files):
        if needed.volume not in kept:
            what = "volume with state of the first container"
            yield _missing(("needs_files", index, "volume"), what, needed.volume, kept)
    for index, offer in enumerate(service.offers):
        if service.first.port(offer.port) is None:
            ports = [each.name for each in service.ports]
            yield _missing(("offers", index, "port"), "port of the first container", offer.port, ports)


def _missing(path: Path, what: str, found: str, known: Collection[str]) -> Contradiction:
    return Contradiction(path, f"no {what} of that name", found, ", ".join(known) or None)


def _twice(path: Path, values: list[str], key: str | None = None) -> Iterator[Contradiction]:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield Contradiction((*path, index, *([key] if key else [])), "stands twice", value)


def _model(service: Service) -> Iterator[Contradiction]:
    if service.engine is None and service.needs_model:
        yield Contradiction(("needs_model",), "a model, and no engine that would load it", "true", "false")
    if (service.engine is None) != (service.loads is None):
        expected = "null" if service.engine is None else "at_start or on_request"
        yield Contradiction(
            ("loads",), "an engine loads its model at some time", service.loads or "null", expected
        )
    if service.least_vram_mib and not service.elastic:
        found = str(service.least_vram_mib)
        yield Contradiction(("least_vram_mib",), "only of what is elastic", found, hint="leave it out")


def _cards(service: Service) -> Iterator[Contradiction]:
    need = service.gpu
    if need.use == "none":
        for key in ("cuda", "min_driver", "older_cards"):
            if getattr(need, key) is not None:
                yield Contradiction(("gpu", key), "of a service that uses no card", hint="leave it out")
        if service.engine is not None:
            yield Contradiction(
                ("gpu", "use"), "its engine computes on cards", "none", "required or optional"
            )
    if need.use == "required" and need.min_driver is None:
        yield Contradiction(
            ("gpu",), "no `min_driver`, which what requires a card has", expected='as "570.26"'
        )
    if need.min_driver is not None and need.source is None:
        yield Contradiction(("gpu",), "no `source` of its driver", expected="an address")


def _memory(service: Service) -> Iterator[Contradiction]:
    if service.first.ram_mib is not None:
        found = str(service.first.ram_mib)
        yield Contradiction(
            ("containers", 0, "ram_mib"),
            "the first container has what the others leave",
            found,
            hint="leave it out",
        )
    taken = 0
    for index, container in enumerate(service.containers[1:], start=1):
        taken += container.ram_mib or 0
        if container.ram_mib is None:
            yield Contradiction(("containers", index), "no `ram_mib`, its part of the service's")
        elif taken >= service.ram_mib:
            most = f"less than {service.ram_mib} together"
            at: Path = ("containers", index, "ram_mib")
            yield Contradiction(at, "more than the service has", str(taken), most)


def _image(at: Path, container: Container, *, may_be_open: bool) -> Iterator[Contradiction]:
    image = container.image
    if image is None:
        if not may_be_open:
            yield Contradiction(
                (*at, "image"), "only the first container's is the workload's to name", "null"
            )
    elif image.tag.lower() in MOVING_TAGS:
        path = (*at, "image", "tag")
        yield Contradiction(path, "a tag that moves to other images", image.tag, "one of a version, as 1.2.3")


def _names(at: Path, container: Container, service: Service, names: list[str]) -> Iterator[Contradiction]:
    yield from _twice((*at, "ports"), [each.name for each in container.ports], "name")
    numbers = [f"{each.container}/{each.protocol}" for each in container.ports]
    yield from _twice((*at, "ports"), numbers, "container")
    others = [each for each in names if each != container.name]
    for index, each in enumerate(container.after):
        if each not in others:
            yield _missing((*at, "after", index), "other container", each, others)
    for key, setting in container.environment.items():
        yield from _address((*at, "environment", key), setting, names)
    for index, use in enumerate(container.secrets):
        if service.secret(use.name) is None:
            known = [each.name for each in service.secrets]
            yield _missing((*at, "secrets", index, "name"), "secret", use.name, known)
        if use.variable in container.environment:
            path = (*at, "environment", use.variable)
            yield Contradiction(path, "a secret stands in this variable", hint="leave it out")
    for index, flag in enumerate(container.pinned):
        if not flag.startswith("-"):
            yield Contradiction((*at, "pinned", index), "not a flag", flag, "as --ctx-size")


def _address(path: Path, setting: Setting, names: list[str]) -> Iterator[Contradiction]:
    if isinstance(setting, AddressOf) and setting.address_of not in names:
        yield _missing((*path, "address_of"), "container", setting.address_of, names)


def _volumes(at: Path, container: Container) -> Iterator[Contradiction]:
    places = [each.at for each in container.volumes]
    yield from _twice((*at, "volumes"), places, "at")
    yield from _twice((*at, "volumes"), [each.name for each in container.volumes], "name")
    for index, volume in enumerate(container.volumes):
        if (volume.owner is None) != (volume.keeps == "models"):
            expected = "null" if volume.keeps == "models" else 'uid:gid, as "999:999"'
            path = (*at, "volumes", index, "owner")
            yield Contradiction(path, f"of a volume with {volume.keeps}", volume.owner or "null", expected)
    kept = {*places, *container.tmpfs}
    for declared in container.image.volumes if container.image else ():
        if declared not in kept:  # a mount above it does not keep Podman from making its own there
            yield Contradiction(
                (*at, "volumes"),
                f"the image keeps data in {declared}, and nothing is mounted there",
                expected="a volume or tmpfs there",
            )


def _health(at: Path, container: Container, service: Service) -> Iterator[Contradiction]:
    health = container.health
    if health is None:
        if container.ports and not service.job:
            yield Contradiction(at, "no `health`, and it has a port at which to ask")
    elif service.job:
        yield Contradiction((*at, "health"), "a job's exit code says how it went", hint="leave it out")
    elif container.keeps_state and health.unhealthy == "kill":
        path = (*at, "health", "unhealthy")
        yield Contradiction(path, "what keeps state is not killed", "kill", "tell")


def _security(at: Path, container: Container) -> Iterator[Contradiction]:
    security, runs_as = container.security, container.runs_as
    is_root = runs_as is not None and runs_as.startswith("0:")
    if is_root and security.root is None:
        yield Contradiction((*at, "security"), "it runs as root, and `root` does not say why", runs_as)
    if security.root is not None and runs_as is not None and not is_root:
        yield Contradiction(
            (*at, "security", "root"), "it does not run as root", runs_as, hint="leave it out"
        )
    yield from _twice(
        (*at, "security", "capabilities"), [each.name for each in security.capabilities], "name"
    )


def _unsourced(container: Container, service: Service) -> Iterator[Contradiction]:
    covered = {
        area
        for source in service.sources
        if source.container in (None, container.name)
        for area in source.covers
    }
    has: dict[Area, object] = {
        "image": container.image,
        "ports": container.ports,
        "volumes": container.volumes,
        "environment": container.environment,
        "command": (*container.entrypoint, *container.args, *container.pinned),
        "health": container.health,
        "security": container.security.capabilities or container.security.user,
        "secrets": container.secrets,
    }
    for area, value in has.items():
        if value and area not in covered:
            yield Contradiction(
                ("sources",),
                f"none covers {area} of container {container.name}",
                expected=f"{{covers: [{area}], url: …}}",
            )


def _circles(service: Service) -> Iterator[Contradiction]:
    started: set[str] = set()
    waiting = list(service.containers)
    while ready := [each for each in waiting if started.issuperset(each.after)]:
        started |= {each.name for each in ready}
        waiting = [each for each in waiting if each not in ready]
    if waiting:
        index = service.containers.index(waiting[0])
        found = ", ".join(each.name for each in waiting)
        yield Contradiction(("containers", index, "after"), "these wait for each other", found)


def _shared_volumes(service: Service) -> Iterator[Contradiction]:
    first: dict[str, tuple[str, str | None]] = {}
    for index, container in enumerate(service.containers):
        for number, volume in enumerate(container.volumes):
            said = (volume.keeps, volume.owner)
            if first.setdefault(volume.name, said) != said:
                path = ("containers", index, "volumes", number)
                yield Contradiction(path, "another container has this volume otherwise", volume.name)


def _state(service: Service) -> Iterator[Contradiction]:
    keeps = any(each.keeps_state for each in service.containers)
    if keeps != service.stateful:
        message = "a volume keeps state" if keeps else "no volume keeps state"
        yield Contradiction(("stateful",), message, str(service.stateful).lower(), str(keeps).lower())
    if service.migrates and not service.stateful:
        yield Contradiction(("migrates",), "without state there is nothing to migrate", "true", "false")


def _secrets(service: Service) -> Iterator[Contradiction]:
    used = set(chain.from_iterable((use.name for use in each.secrets) for each in service.containers))
    yield from _twice(("secrets",), [each.name for each in service.secrets], "name")
    for index, secret in enumerate(service.secrets):
        if secret.name not in used:
            yield Contradiction(("secrets", index, "name"), "no container takes it", secret.name)
        if (secret.characters is None) != (secret.made == "given"):
            expected = "none of what is given" if secret.made == "given" else "16 or more"
            path = ("secrets", index, "characters")
            yield Contradiction(path, "how long a random one is", str(secret.characters or "null"), expected)
        if secret.procedure and secret.changed_by:
            path = ("secrets", index, "procedure")
            yield Contradiction(path, "a restart is all that it takes", secret.procedure, hint="leave it out")
