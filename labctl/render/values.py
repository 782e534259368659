"""Values that a catalogue leaves open, from the plan and the host; and what a workload is told of those it uses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from labctl.plan.plan import Plan, PlannedWorkload
from labctl.render import names
from labctl.render.host import HostFacts
from labctl.workloads.container import AddressOf, Filled, Filling, Setting
from labctl.workloads.service import Consumer, Offer, Service

LOOPBACK = "127.0.0.1"
"""Where all ports of the host are published."""
# Speaches is asked for a model by its name on the hub, and these are faster-whisper's own:
# https://github.com/SYSTRAN/faster-whisper/blob/master/faster_whisper/utils.py
_SPEECH_MODELS = "Systran/faster-{}"
# Systran has none of this. Speaches takes only what says that it is CTranslate2's (its executors/whisper.py), which
# faster-whisper's own choice, of mobiuslabsgmbh, does not.
_OTHER_SPEECH_MODELS = {"whisper-large-v3-turbo": "deepdml/faster-whisper-large-v3-turbo-ct2"}
# CTranslate2's names, https://opennmt.net/CTranslate2/quantization.html; the only engine that is asked by a variable.
_QUANTS = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
_NOT_HOSTS = ("no", "vpn", "lan")


@dataclass(frozen=True)
class Asked:
    """One workload of a plan, with all that its values may come from."""

    name: str
    planned: PlannedWorkload
    service: Service
    plan: Plan
    services: Mapping[str, Service]
    facts: HostFacts

    @property
    def started_by_hand(self) -> bool:
        """Whether it does not come with the others: a job, and what has a time of its own."""
        return self.service.job or self.planned.when is not None or bool(self.planned.displaces)

    @property
    def loads_alone(self) -> bool:
        """Whether it waits until nothing else loads onto its cards. Not a job: it would hold them until it is done."""
        return bool(self.planned.cards) and not self.service.job


@dataclass(frozen=True)
class Used:
    """A workload on the same host that this one uses. address: None where it answers at no port."""

    name: str
    planned: PlannedWorkload
    service: Service
    address: str | None


def filled(asked: Asked, filling: Filling, used: Used | None = None) -> str | None:
    """The value, None where nobody knows one. used: of whom `used_model` speaks."""
    planned, exposed = asked.planned, asked.planned.expose not in _NOT_HOSTS
    match filling:
        case "workload":
            return asked.name
        case "quant":
            quant = planned.variant.get("quant")
            return None if quant is None else _QUANTS.get(str(quant).lower(), str(quant))
        case "context" | "parallel" | "kv_type":
            value = planned.variant.get(filling)
            return None if value is None else str(value)
        case "used_model":
            return served_model(used) if used else None
        case "url":
            return f"https://{planned.expose}" if exposed else None
        case "origins":
            return _origins(planned) if exposed else None
        case "host_name":
            return planned.expose if exposed else None
        case "time_zone":
            return asked.facts.time_zone


def _origins(planned: PlannedWorkload) -> str:
    """As a browser says where a page is from: of `expose`, and of a tunnel, by which it is reached until that opens."""
    ports = [each.host for each in planned.ports if each.protocol == "tcp"]
    tunnels = [f"http://{name}:{port}" for port in ports for name in ("localhost", LOOPBACK)]
    return ";".join([f"https://{planned.expose}", *tunnels])


def setting(asked: Asked, value: Setting, used: Used | None = None) -> str | None:
    """What a catalogue's environment says, None where it is left out."""
    if isinstance(value, Filled):
        return filled(asked, value.value, used)
    if isinstance(value, AddressOf):
        container = asked.service.container(value.address_of)
        return names.stem(asked.name, container, asked.service)
    return value


def served_model(used: Used) -> str:
    """Under which name clients ask for its model."""
    model = used.planned.model
    if used.service.engine == "whisper" and model:
        return speech_model(model)
    return used.name


def speech_model(model: str) -> str:
    """Its name on the hub, by which Speaches fetches it and clients ask for it."""
    return model if "/" in model else _OTHER_SPEECH_MODELS.get(model, _SPEECH_MODELS.format(model))


def used(asked: Asked) -> Iterator[Used]:
    """Those that it uses and that have a place, in the order in which the person named them."""
    for name in asked.planned.uses:
        other = asked.plan.workloads.get(name)
        if other is None:
            continue
        service = asked.services[other.service]
        port = next((each.container for each in other.ports if each.protocol == "tcp"), None)
        port = service.ports[0].container if service.ports else port
        address = None if port is None else f"http://{names.stem(name)}:{port}"
        yield Used(name, other, service, address)


def told_of_used(asked: Asked) -> dict[str, str]:
    """Variables with the addresses of what it uses."""
    found: dict[str, str] = {}
    by_variable: dict[str, list[str]] = {}
    for other in used(asked):
        match = _match(asked.service, other.service)
        if match is None:
            if other.address:
                found[f"{other.name.replace('-', '_').upper()}_URL"] = other.address
            continue
        consumer, offer = match
        by_variable.setdefault(consumer.variable, []).append(_address(other, offer))
        for key, value in consumer.sets.items():
            text = setting(asked, value, other)
            if text is not None:
                found.setdefault(key, text)
    for consumer in asked.service.uses:
        if addresses := by_variable.get(consumer.variable):
            found[consumer.variable] = (
                addresses[0] if consumer.joined is None else consumer.joined.join(addresses)
            )
    return found


def _match(user: Service, offering: Service) -> tuple[Consumer, Offer] | None:
    """Of two APIs of one program the user is told of the first that it knows, or it would see every model twice."""
    for offer in offering.offers:
        for consumer in user.uses:
            if offer.api == consumer.api:
                return consumer, offer
    return None


def _address(used: Used, offer: Offer) -> str:
    port = used.service.first.port(offer.port)
    assert port is not None, offer.port  # the catalogue is checked
    return f"http://{names.stem(used.name)}:{port.container}{offer.path.rstrip('/')}"
