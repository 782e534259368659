"""What `labctl gpus` prints for people: one line per card, then who holds its memory. 80 columns. Pure."""

import textwrap
from collections.abc import Iterable, Iterator

from labctl.rig.gpu import Gpu
from labctl.rig.live import LiveHost, Reading, remarks
from labctl.rig.reported import Process

WIDTH = 80
_BAR_CELLS = 14
# Of a card's name, what tells it from no other.
_LEFT_OUT = {"NVIDIA", "GeForce", "Blackwell", "Workstation", "Edition", "Generation"}
_OURS, _OTHERS, _FREE = "█", "▓", "·"
_GREEN, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[0m"
_HEAD = f"{'#':>2} {'card':18}{'°C':>4}{'fan':>5}{'watts':>10}  {'memory':{_BAR_CELLS}}{'GiB':>15}{'busy':>6}"


def gpus_text(hosts: tuple[LiveHost, ...], *, colour: bool = False) -> str:
    """Every host: its line, its cards, their processes, and what a person should know of them."""
    blocks = ["\n".join(line.rstrip() for line in _host(each, colour=colour)) for each in hosts]
    return "\n\n".join(blocks) + "\n"


def card_name(gpu: Gpu) -> str:
    """A card's name without the words that all of them have."""
    return " ".join(word for word in gpu.title.split() if word not in _LEFT_OUT)


def _host(live: LiveHost, *, colour: bool) -> Iterator[str]:
    yield _cut(" · ".join(_headline(live)), WIDTH)
    if live.readings:
        yield _HEAD
    for reading in live.readings:
        yield _line(reading, colour=colour)
    if live.readings:
        yield f"   memory: {_OURS} ours {_OTHERS} others {_FREE} free; GiB: ours+others/all that CUDA can use"
    for reading in live.readings:
        for each in sorted(reading.processes, key=lambda each: (not each.ours, -(each.memory_mib or 0))):
            yield _cut(_process(reading, each), WIDTH)
    yield from _links(live)
    for reading in live.readings:
        yield from _sentences(f"card {reading.card.index}: {each}" for each in remarks(reading))
    yield from _sentences(live.problems)


def _headline(live: LiveHost) -> Iterator[str]:
    host = live.host
    yield host.name
    if host.driver:
        yield f"driver {host.driver}"
    if host.cuda:
        yield f"CUDA {host.cuda}"
    if host.ram_mib is not None:
        free = f", {live.available_mib / 1024:.0f} free" if live.available_mib is not None else ""
        yield f"RAM {host.ram_mib / 1024:.0f} GiB{free}"
    if host.psu_watts:
        yield f"PSU {host.psu_watts} W"
    if host.cpu.model:
        yield host.cpu.model


def _line(reading: Reading, *, colour: bool) -> str:
    card = reading.card
    return (
        f"{card.index:>2} {_cut(card_name(card.gpu), 18):18}{_or_dash(reading.temperature_celsius):>4}"
        f"{_or_dash(reading.fan_percent, '%'):>5}{_power(reading):>10}  {_bar(reading, colour=colour)}"
        f"{_memory(reading):>15}{_or_dash(reading.utilization_percent, '%'):>6}"
    )


def _or_dash(value: int | None, unit: str = "") -> str:
    return "–" if value is None else f"{value}{unit}"


def _power(reading: Reading) -> str:
    draw = None if reading.power_watts is None else round(reading.power_watts)
    return f"{_or_dash(draw)}/{_or_dash(reading.card.power_limit_watts)}"


def _memory(reading: Reading) -> str:
    size = reading.card.memory_mib
    if size is None:
        return "unknown"
    ours = f"{reading.ours_mib / 1024:.1f}+" if reading.ours_mib else ""
    return f"{ours}{reading.foreign_mib / 1024:.1f}/{size / 1024:.1f}"


def _bar(reading: Reading, *, colour: bool) -> str:
    """To scale; whoever holds anything has a cell at least."""
    size = reading.card.memory_mib
    if not size:
        return "?" * _BAR_CELLS
    ours = min(_cells(reading.ours_mib, size), _BAR_CELLS)
    others = min(_cells(reading.foreign_mib, size), _BAR_CELLS - ours)
    parts = ((_GREEN, _OURS * ours), (_YELLOW, _OTHERS * others))
    free = _FREE * (_BAR_CELLS - ours - others)
    return "".join(f"{code}{part}{_PLAIN}" if colour and part else part for code, part in parts) + free


def _cells(held_mib: int, size_mib: int) -> int:
    return max(1, round(_BAR_CELLS * held_mib / size_mib)) if held_mib else 0


def _process(reading: Reading, process: Process) -> str:
    memory = "?" if process.memory_mib is None else f"{process.memory_mib:,}"
    unit = f" in {process.unit}" if process.unit else ""
    whose = _OURS if process.ours else _OTHERS
    name = process.name.split(" ")[0].rpartition("/")[2] or "?"
    return f"   {whose} card {reading.card.index} {memory:>8} MiB  {name} ({process.pid}){unit}"


def _links(live: LiveHost) -> Iterator[str]:
    pairs = sorted(
        {(card.index, peer) for card in live.host.cards for peer in card.nvlink if card.index < peer}
    )
    if pairs:
        yield _cut("   NVLink: " + ", ".join(f"{left}–{right}" for left, right in pairs), WIDTH)


def _sentences(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from textwrap.wrap(f"! {text}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
