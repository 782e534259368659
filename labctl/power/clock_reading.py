"""What nvidia-smi says of clocks: the question that deploys and checks ask, and its answer as values.

It does not say what a clock is locked to: neither `-q -d CLOCK` nor NVML tells that of any card. What it tells is what
a card runs at now, and what it could.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.power.clocks import KINDS, Locks, Span
from labctl.power.reading import answers, number
from labctl.rig.host_report import asking
from labctl.rig.reported import Lost

_FIELDS = (
    "uuid",
    "pci.bus_id",
    "memory.total",
    "clocks.gr",
    "clocks.mem",
    "clocks.max.gr",
    "clocks.max.mem",
    "name",  # last: nobody promises that it holds no comma
)
# A card supports some hundred pairs of memory and graphics clock: only their ends leave the host.
_ENDS = """awk -F', *' '$1 ~ /^GPU-/ && $2 + 0 > 0 && $3 + 0 > 0 {
  if (!($1 in most) || $3 + 0 > most[$1]) most[$1] = $3 + 0
  if (!($1 in least) || $3 + 0 < least[$1]) least[$1] = $3 + 0
  if (!($1 in above) || $2 + 0 > above[$1]) above[$1] = $2 + 0
  if (!($1 in below) || $2 + 0 < below[$1]) below[$1] = $2 + 0
} END { for (card in most) print "supported", card, least[card], most[card], below[card], above[card] }'"""
_CSV = "--format=csv,noheader,nounits"
_NOW = asking(f"--query-gpu={','.join(_FIELDS)} {_CSV}")
_SUPPORTED = asking(f"--query-supported-clocks=gpu_uuid,memory,graphics {_CSV}")
SCRIPT = f"({_NOW})\n({_SUPPORTED}) | {_ENDS}\n"
# A clock that is locked between two of a card's steps is at the nearest of them; an RTX 3090's are 15 MHz apart.
_STEP_MHZ = 30


@dataclass(frozen=True)
class ClockReading:
    """One card that answers. now_mhz, supported: by kind, without what the card does not tell."""

    uuid: str
    name: str
    memory_mib: int | None
    now_mhz: Mapping[str, int]
    supported: Mapping[str, Span]

    def above(self, locks: Locks) -> tuple[str, ...]:
        """The kinds whose clock is over its lock at this moment: that lock is surely not in force."""
        return tuple(
            kind for kind, (_, most) in locks.items() if self.now_mhz.get(kind, 0) > most + _STEP_MHZ
        )


@dataclass(frozen=True)
class ClockReadings:
    """All cards of a host in PCI order. lost: those that do not answer. said: what nvidia-smi says instead of cards."""

    cards: tuple[ClockReading, ...]
    lost: tuple[Lost, ...]
    said: str | None


def parse(text: str) -> ClockReadings:
    """What SCRIPT printed."""
    ends = {
        words[1]: [int(word) for word in words[2:]]
        for words in map(str.split, text.splitlines())
        if len(words) == 6 and words[0] == "supported"
    }
    rest = "\n".join(line for line in text.splitlines() if not line.startswith("supported "))
    found = answers(rest, len(_FIELDS))
    return ClockReadings(tuple(_card(row, ends.get(row[0])) for row in found.rows), found.lost, found.said)


def _card(row: list[str], ends: list[int] | None) -> ClockReading:
    uuid, _, memory, *clocks, name = row
    mhz = [number(word) for word in clocks]
    size = number(memory)
    # A card that lists no clocks may still tell its highest.
    highest = {kind: Span(None, round(most)) for kind, most in zip(KINDS, mhz[2:], strict=True) if most}
    listed = {kind: Span(*ends[2 * at : 2 * at + 2]) for at, kind in enumerate(KINDS)} if ends else {}
    return ClockReading(
        uuid,
        name,
        None if size is None else int(size),
        {kind: round(now) for kind, now in zip(KINDS, mhz[:2], strict=True) if now is not None},
        {**highest, **listed},
    )
