"""What nvidia-smi says of power limits: the one question that deploys and checks ask, and its answer as values."""

from collections.abc import Sequence
from dataclasses import dataclass

from labctl.rig.host_report import asking
from labctl.rig.nvidia_smi import lost_cards
from labctl.rig.reported import Lost

_FIELDS = (
    "uuid",
    "pci.bus_id",
    "memory.total",
    "power.limit",
    "power.default_limit",
    "power.min_limit",
    "power.max_limit",
    "persistence_mode",
    "name",  # last: nobody promises that it holds no comma
)
SCRIPT = asking(f"--query-gpu={','.join(_FIELDS)} --format=csv,noheader,nounits")


@dataclass(frozen=True)
class LimitReading:
    """One card that answers. Watts; None where the card has no such thing."""

    uuid: str
    pci: str
    name: str
    memory_mib: int | None
    limit_watts: float | None
    default_watts: float | None
    min_watts: float | None
    max_watts: float | None
    persistence: bool


@dataclass(frozen=True)
class LimitReadings:
    """All cards of a host in PCI order. lost: those that do not answer. said: what nvidia-smi says instead of cards."""

    cards: tuple[LimitReading, ...]
    lost: tuple[Lost, ...]
    said: str | None


def parse(text: str) -> LimitReadings:
    """What SCRIPT printed."""
    found = answers(text, len(_FIELDS))
    return LimitReadings(tuple(map(_card, found.rows)), found.lost, found.said)


@dataclass(frozen=True)
class Answers:
    """Rows of fields, one for each card that answers, its UUID first. lost, said: as LimitReadings has them."""

    rows: tuple[list[str], ...]
    lost: tuple[Lost, ...]
    said: str | None


def answers(text: str, count: int) -> Answers:
    """What nvidia-smi said to a question for `count` fields of each card, the UUID first and the name last."""
    rows: dict[str, list[str]] = {}
    lost: dict[str, Lost] = {}
    said = None
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",", count - 1)]
        if len(parts) == count and parts[0].startswith("GPU-"):
            rows.setdefault(parts[0], parts)
        elif found := lost_cards(line):
            lost |= {each.pci: each for each in found if each.pci not in lost}
        elif line.strip() and said is None:
            said = line.strip()[:200]
    return Answers(tuple(rows.values()), tuple(lost.values()), None if rows else said)


def unanswered(names: Sequence[str], lost: Sequence[Lost], said: str | None) -> str:
    """A sentence about cards that do not answer, with what is known of why."""
    why = "; ".join(f"{each.pci}: {each.reason}" for each in lost) or said
    verb = "does" if len(names) == 1 else "do"
    return f"{', '.join(names)} {verb} not answer ({why or 'nvidia-smi does not list it'})"


def _card(parts: list[str]) -> LimitReading:
    uuid, pci, memory, limit, default, least, most, persistence, name = parts
    size = number(memory)
    return LimitReading(
        uuid,
        pci,
        name,
        None if size is None else int(size),
        number(limit),
        number(default),
        number(least),
        number(most),
        persistence == "Enabled",
    )


def number(word: str) -> float | None:
    """None for `[N/A]`, `[Not Supported]` and `[Unknown Error]`."""
    try:
        return float(word)
    except ValueError:
        return None
