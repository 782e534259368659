"""A rig as a rig file: what `labctl rig` prints, and what `--rig` reads back as the same value."""

import json
from collections.abc import Iterable, Iterator

from labctl.rig.rig import Card, Cpu, Host, Pcie, Rig, default_reserved_mib
from labctl.rig.unlisted import is_unlisted

Field = tuple[str, object]
_UNKNOWN = "not readable from the machine"


def to_yaml(rig: Rig, remarks: Iterable[str] = ()) -> str:
    """The file. remarks: sentences for its head, as what could not be read."""
    lines = [f"# {remark}" for remark in remarks]
    lines += [f"name: {_scalar(rig.name)}", "hosts:"]
    for host in rig.hosts:
        lines += _host(host)
    return "\n".join(lines) + "\n"


def _host(host: Host) -> Iterator[str]:
    yield f"  - name: {_scalar(host.name)}"
    for key, text in (("driver", host.driver), ("cuda", host.cuda)):
        if text is not None:
            yield f"    {key}: {json.dumps(text)}"
    if host.cards:
        yield "    gpus:"
    for card in host.cards:
        yield from _card(card, f"{host.name}/{card.index}")
    pairs = sorted({(card.index, peer) for card in host.cards for peer in card.nvlink if card.index < peer})
    if pairs:
        yield f"    nvlink: {json.dumps(pairs)}"
    yield _known("ram_gib", None if host.ram_mib is None else _number(host.ram_mib / 1024))
    if host.cpu != Cpu():
        yield f"    cpu: {{{_flow(_cpu(host.cpu))}}}"
    if host.cpu.memory_bandwidth_gbs is None:
        yield f"    # cpu.memory_bandwidth_gbs: {_UNKNOWN} without root; layers kept in RAM are as fast as this"
    yield _known("psu_watts", host.psu_watts, "placement checks the power supply with it")
    if host.host_watts is not None:
        yield f"    host_watts: {host.host_watts}"
    slots = None if host.pcie_slots is None else list(host.pcie_slots)
    yield _known(
        "pcie_slots", slots, "lanes of each slot as [16, 4], and `labctl advise` counts the free ones"
    )
    yield _known("disk_gib", host.disk_gib)
    if host.disk_free_gib is not None:
        yield f"    disk_free_gib: {host.disk_free_gib}"


def _known(key: str, value: object, why: str = "") -> str:
    """The line of a key, or a comment that asks for it."""
    if value is not None:
        return f"    {key}: {value}"
    return f"    # {key}: {_UNKNOWN}" + (f"; add it, {why}" if why else "")


def _cpu(cpu: Cpu) -> Iterator[Field]:
    yield "model", cpu.model
    yield "sockets", cpu.sockets
    yield "cores", cpu.cores
    yield "memory_bandwidth_gbs", cpu.memory_bandwidth_gbs
    yield "tdp_watts", cpu.tdp_watts


def _card(card: Card, nameless: str) -> Iterator[str]:
    """Three lines: what it is and its memory; its power; how it is set up."""
    lines = [_flow(part) for part in (_identity(card, nameless), _memory(card), _power(card), _setup(card))]
    yield "      - {" + ",\n         ".join(line for line in lines if line) + "}"
    if card.foreign_mib:
        yield "        # foreign_mib is what others held when this was read; without it the card counts as idle"


def _identity(card: Card, nameless: str) -> Iterator[Field]:
    yield "model", card.gpu.title if is_unlisted(card.gpu) else card.gpu.name
    if is_unlisted(card.gpu):
        yield "compute_capability", card.gpu.compute_capability
        yield "board_memory_mib", card.gpu.memory_mib
        yield "unified_memory", card.gpu.unified_memory or None
    yield "uuid", None if card.id == nameless else card.id
    yield "pci", card.pci


def _memory(card: Card) -> Iterator[Field]:
    yield "memory_mib", card.memory_mib
    yield "memory_unknown", True if card.memory_mib is None else None
    default = default_reserved_mib(card.memory_mib or 0)
    yield "reserved_mib", None if card.reserved_mib == default else card.reserved_mib
    yield "foreign_mib", card.foreign_mib or None


def _power(card: Card) -> Iterator[Field]:
    yield "power_limit_watts", card.power_limit_watts
    yield "power_default_watts", card.power_default_watts
    yield "power_min_watts", card.power_min_watts
    yield "power_max_watts", card.power_max_watts


def _setup(card: Card) -> Iterator[Field]:
    yield "pcie", card.pcie
    yield "compute_mode", None if card.compute_mode == "default" else card.compute_mode
    yield "ecc", card.ecc
    yield "ecc_pending", card.ecc_pending
    yield "mig", card.mig
    yield "display", card.display


def _flow(fields: Iterable[Field]) -> str:
    return ", ".join(f"{key}: {_scalar(value)}" for key, value in fields if value is not None)


def _scalar(value: object) -> str:
    """A value in flow style. Words are quoted unless plainly words: YAML takes `no` and `12:30` for other things."""
    if isinstance(value, Pcie):
        device = (
            (
                "device_generation",
                value.device_generation if value.device_generation != value.generation else None,
            ),
            ("device_lanes", value.device_lanes if value.device_lanes != value.lanes else None),
        )
        return f"{{{_flow((('generation', value.generation), ('lanes', value.lanes), *device))}}}"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str) and _is_plain(value):
        return value
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """As JSON, which is YAML but for what lies beyond two bytes, and with line breaks of other scripts escaped."""
    written = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in written)


def _is_plain(text: str) -> bool:
    """Letters first, and nothing that YAML takes for syntax, a number or a truth value."""
    plain = text.replace("-", "").replace("_", "").isalnum() and text.isascii() and text[0].isalpha()
    return plain and text.lower() not in ("yes", "no", "on", "off", "true", "false", "null", "y", "n")


def _number(value: float) -> str:
    """As short as it reads back: 128 for 128.0. YAML knows an exponent only behind a decimal point."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    digits, exponent, power = repr(value).partition("e")
    return f"{digits if '.' in digits else f'{digits}.0'}{exponent}{power}"
