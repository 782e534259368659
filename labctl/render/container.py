"""One container as a Quadlet file: what runs, with what rights, on which cards and networks, and when it is well."""

from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.render import model_place, names
from labctl.render.engine import Loaded, Told, told
from labctl.render.rights import say_health, say_rights
from labctl.render.running import say_service
from labctl.render.storage import mounts
from labctl.render.unit_text import UnitText, literal, word, words
from labctl.render.values import LOOPBACK, Asked, filled, setting, told_of_used, used
from labctl.transaction.layout import TARGET
from labctl.workloads.container import Container, Flag, Image

_GPU_UNITS = "labctl-gpu-power.service labctl-cdi.service"


@dataclass(frozen=True)
class Made:
    """A container's text, and what a manifest says of it.

    held_back: the catalogue's image, where it stays on another, which its data is of.
    """

    text: str
    image: str
    held_back: str | None = None


def container_text(asked: Asked, container: Container, header: tuple[str, ...]) -> Made:
    """Raises BadInput for what cannot be rendered without showing a secret."""
    text = UnitText(asked.facts.podman)
    is_first = container is asked.service.first
    image, held_back = _image(asked, container, is_first=is_first)
    engine = _told(asked) if is_first else Told()
    found = mounts(asked, container)
    _unit(text, asked, container, is_first=is_first)
    text.say("Container", "Image", image)
    text.say("Container", "ContainerName", names.stem(asked.name, container, asked.service))
    text.say("Container", "Label", f"labctl.workload={asked.name}")
    _cards(text, asked, is_first=is_first)
    _command(text, asked, container, engine, is_first=is_first)
    _environment(text, asked, container, engine, is_first=is_first)
    _secrets(text, asked, container, is_first=is_first)
    for mount in found:
        text.say("Container", "Volume", literal(mount.text))
    for path in container.tmpfs:
        text.say("Container", "Tmpfs", path)
    _network(text, asked, is_first=is_first)
    say_rights(text, container)
    say_health(text, container)
    text.say("Container", "StopTimeout", container.stop_seconds)
    text.say("Container", "LogDriver", "journald")
    say_service(text, asked, container, found, is_first=is_first)
    if not asked.started_by_hand:
        text.say("Install", "WantedBy", TARGET)
    return Made(text.text(header), image, held_back)


def _image(asked: Asked, container: Container, *, is_first: bool) -> tuple[str, str | None]:
    """Which one, and the catalogue's where that is held back."""
    if asked.planned.image and asked.service.is_of_first(container):
        return asked.planned.image, None
    known = [asked.facts.capabilities.get(each.card) for each in asked.planned.cards]
    oldest = min((each for each in known if each), default=None)
    image: Image | None = asked.service.image_for(oldest) if is_first else container.image
    if image is None:
        raise BadInput(
            "nothing says which image to run",
            where=f"{asked.name}.image",
            hint="add `image: registry/name:tag` to the workloads file",
        )
    if not is_first and asked.service.moves_alone(container):
        # No workloads file speaks of it, so nobody could hold it back or say that it may move.
        stem = names.stem(asked.name, container, asked.service)
        last = asked.facts.data_images.get(names.unit(stem), image.reference)
        return last, image.reference if last != image.reference else None
    return image.reference, None


def _unit(text: UnitText, asked: Asked, container: Container, *, is_first: bool) -> None:
    what = asked.service.title if is_first else f"{asked.service.title}: {container.name}"
    text.say("Unit", "Description", literal(f"{asked.name} ({what}), placed by labctl"))
    text.say("Unit", "Documentation", literal(asked.service.documentation))
    for other in container.after:
        before = names.unit(names.stem(asked.name, asked.service.container(other), asked.service))
        # Wanted, not required: what it waits for may come up at its second try, and then so does this.
        text.say("Unit", "Wants", before)
        text.say("Unit", "After", before)
    if is_first and asked.planned.cards:
        text.say("Unit", "Wants", _GPU_UNITS)
        text.say("Unit", "After", _GPU_UNITS)
        if asked.loads_alone:
            text.say("Unit", "Wants", names.lock(asked.name))
            text.say("Unit", "After", names.lock(asked.name))
    if is_first and asked.planned.displaces:
        stepping_aside = " ".join(names.unit(names.stem(each)) for each in asked.planned.displaces)
        text.say("Unit", "Conflicts", stepping_aside)
        text.say("Unit", "After", stepping_aside)
    text.say("Unit", "StartLimitIntervalSec", 0)


def _cards(text: UnitText, asked: Asked, *, is_first: bool) -> None:
    if is_first:
        for claim in asked.planned.cards:
            text.say("Container", "AddDevice", f"nvidia.com/gpu={literal(claim.card)}")
        for device in asked.planned.devices:
            text.say("Container", "AddDevice", literal(device))


def _told(asked: Asked) -> Told:
    """What its engine is told; paths as the container sees them."""
    planned, at = asked.planned, asked.service.first.models_at
    place = model_file(asked)
    projector = None
    if place and planned.vision and planned.model:
        projector = f"{at}/{model_place.projector_of(planned.model)}"
    loaded = Loaded(
        model=f"{at}/{place}" if at and place else None,
        projector=projector,
        memory_mib={card.id: card.memory_mib for host in asked.plan.rig.hosts for card in host.cards},
        claimed_mib={claim.card: _claimed_mib(asked, claim.card) for claim in planned.cards},
    )
    return told(planned, asked.service, loaded)


def _claimed_mib(asked: Asked, card: str) -> int:
    """By all that stay on it; a job comes in the place of what it displaces."""
    return sum(
        claim.high_mib
        for name, planned in asked.plan.workloads.items()
        for claim in planned.cards
        if claim.card == card
        and (name == asked.name or not (planned.when or planned.displaces or planned.training))
    )


def model_file(asked: Asked) -> str | None:
    """Where its model lies below the host's folder of models; None where it is given none."""
    planned, service = asked.planned, asked.service
    if planned.model is None or service.first.models_at is None:
        return None
    engine = service.engine or ""
    conventional = model_place.place_of(planned.model, model_format(asked), engine)
    return asked.facts.model_files.get(asked.name) or conventional


def model_format(asked: Asked) -> str:
    """The quantization that its files have: training reads a model as it was published, whatever it makes of it."""
    is_training = asked.service.engine == "training"
    return "bf16" if is_training else str(asked.planned.variant.get("quant", ""))


def _command(text: UnitText, asked: Asked, container: Container, engine: Told, *, is_first: bool) -> None:
    found: list[str] = [*container.entrypoint[1:], *engine.first]
    for each in container.args:
        if not isinstance(each, Flag):
            found.append(each)
        elif (value := filled(asked, each.value)) is not None:
            found += [each.flag, value]
    found += engine.args
    if is_first:
        found += _own_args(asked)
    if container.entrypoint:
        text.say("Container", "Entrypoint", literal(container.entrypoint[0]))
    if found and container.args_variable is None:
        text.say("Container", "Exec", words(found))
    elif found:
        text.say("Container", "Environment", word(f"{container.args_variable}={' '.join(found)}"))


def _own_args(asked: Asked) -> tuple[str, ...]:
    for index in range(len(asked.planned.args)):
        if f"args[{index}]" in asked.planned.secrets:
            raise BadInput(
                "a secret on a command line would be in every list of processes",
                where=f"{asked.name}.args[{index}]",
                hint="give it by `env`, which is kept as a secret of the host",
            )
    return asked.planned.args


def _environment(text: UnitText, asked: Asked, container: Container, engine: Told, *, is_first: bool) -> None:
    found: dict[str, str] = {}
    for name, value in container.environment.items():
        if (known := setting(asked, value)) is not None:
            found[name] = known
    for use in container.secrets:
        if use.file:
            found[use.variable] = use.file
    if is_first:
        found |= {**engine.environment, **told_of_used(asked), **asked.planned.env}
        if asked.planned.cards:
            found["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        for each in asked.planned.secrets:
            found.pop(each.removeprefix("env."), None)
    # Images ask for every card by this variable; what a container gets is what stands in AddDevice, and no more.
    found["NVIDIA_VISIBLE_DEVICES"] = "void"
    for name, text_of in sorted(found.items()):
        text.say("Container", "Environment", word(f"{name}={text_of}"))


def _secrets(text: UnitText, asked: Asked, container: Container, *, is_first: bool) -> None:
    uid, _, gid = (container.runs_as or "0:0").partition(":")
    for use in container.secrets:
        secret = asked.service.secret(use.name)
        name = names.secret(asked.name, use.name)
        if secret is not None and secret.made == "given" and name not in asked.facts.secrets:
            text.remark("Container", f"{use.variable}: not given (`labctl secrets`), so not set")
        elif use.file:
            text.say("Container", "Secret", f"{name},target={use.file},uid={uid},gid={gid},mode=0400")
        else:
            text.say("Container", "Secret", f"{name},type=env,target={use.variable}")
    for each in asked.planned.secrets if is_first else ():
        if each.startswith("env."):
            variable = each.removeprefix("env.")
            name = asked.facts.variable_secret(names.variable_secret(asked.name, variable))
            text.say("Container", "Secret", f"{name},type=env,target={variable}")


def _network(text: UnitText, asked: Asked, *, is_first: bool) -> None:
    for network in networks(asked, is_first=is_first):
        text.say("Container", "Network", f"{network}.network")
    if is_first:
        for port in asked.planned.ports:
            protocol = "" if port.protocol == "tcp" else f"/{port.protocol}"
            text.say("Container", "PublishPort", f"{LOOPBACK}:{port.host}:{port.container}{protocol}")


def networks(asked: Asked, *, is_first: bool) -> tuple[str, ...]:
    """That of its own containers, the one on which others reach it, and those of what it uses."""
    found = [names.network(asked.name)]
    if is_first:
        found.append(names.uses_network(asked.name, asked.service))
        found += [names.uses_network(other.name, other.service) for other in used(asked)]
    return tuple(dict.fromkeys(found))
