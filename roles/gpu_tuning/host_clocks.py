"""What the clocks of a host should be locked to, and what can be known of what they are locked to.

nvidia-smi and NVML set locks and tell of none. Two things are known all the same: what the unit did since this boot,
which the program that locks notes in /run, and that a lock is not in force whose card runs above it. A lock that
somebody took off by hand is seen no sooner than the card runs above it; an idle card shows nothing. Locking anew at
every deploy was rejected: nobody could tell a deploy that found all in order from one that did not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.edges.templates import render
from labctl.errors import BadInput
from labctl.hoststate.files import File
from labctl.power import clock_reading, reading
from labctl.power.clock_reading import ClockReading, ClockReadings
from labctl.power.clocks import KINDS, ClockedCard, Locks, WantedClocks, locks
from labctl.rig.host_report import HANGS, MOST_HANGING, NVIDIA_SMI
from roles.gpu_power.card_unit import CardUnit
from roles.gpu_power.host_limits import hint_at_lost
from roles.gpu_power.model_names import model_names
from roles.gpu_tuning import boot_lines
from roles.gpu_tuning.boot_lines import PROGRAM, BootLine, written

STEM = "labctl-gpu-tuning"
RECORDS = f"/run/{STEM}"
_PROGRAM_TEXT = render(
    __file__, "lock-clocks", records=RECORDS, nvidia_smi=NVIDIA_SMI, hangs=HANGS, most_hanging=MOST_HANGING
)
TUNING = CardUnit(
    STEM,
    "gpu_tuning",
    "Locked clocks",
    73,
    program=File(PROGRAM, _PROGRAM_TEXT, mode="755"),
    records=True,
)
READINGS, BOOT, DONE = "gpu clocks", "gpu clocks at boot", "gpu clocks locked since boot"


def snippets(wanted: WantedClocks) -> tuple[tuple[str, str], ...]:
    """The questions of a survey; a check asks the same. Cards are not woken where nothing is wanted and nothing was."""
    needless = "" if wanted else f"[ -e {TUNING.path} ] || exit 0\n"
    done = f"cd {RECORDS} 2>/dev/null && grep . GPU-* /dev/null"
    return ((BOOT, f"cat {TUNING.path}"), (DONE, done), (READINGS, needless + clock_reading.SCRIPT))


@dataclass(frozen=True)
class Deviation:
    """A card that is not locked as it should be, and how that is known."""

    card: ClockReading
    line: BootLine
    how: str


@dataclass(frozen=True)
class HostClocks:
    """lines: every card that is to be locked, there or not. before: those of an earlier deploy. done: locks by UUID."""

    lines: tuple[BootLine, ...]
    before: tuple[BootLine, ...]
    done: Mapping[str, Locks]
    readings: ClockReadings

    @property
    def answering(self) -> Mapping[str, ClockReading]:
        """The cards that answer, by UUID."""
        return {card.uuid: card for card in self.readings.cards}

    @property
    def missing(self) -> tuple[BootLine, ...]:
        """The cards that are to be locked and do not answer."""
        return tuple(line for line in self.lines if line.card.id not in self.answering)

    @property
    def unanswered(self) -> str | None:
        """A sentence that names them; None when all answer."""
        if not self.missing:
            return None
        names = [f"{line.card.model} {line.card.id}" for line in self.missing]
        return reading.unanswered(names, self.readings.lost, self.readings.said)

    @property
    def released(self) -> Mapping[str, tuple[str, ...]]:
        """The kinds that an earlier deploy locked and nobody asks for any more, by UUID of a card that answers."""
        now = {line.card.id: line.locks for line in self.lines}
        gone = {
            line.card.id: tuple(kind for kind in line.locks if kind not in now.get(line.card.id, {}))
            for line in self.before
            if line.card.id in self.answering
        }
        return {uuid: kinds for uuid, kinds in gone.items() if kinds}

    @property
    def deviating(self) -> tuple[Deviation, ...]:
        """The cards that answer and are surely not locked as they should be."""
        found = []
        for line in self.lines:
            card = self.answering.get(line.card.id)
            if card is not None and (how := _how(card, line.locks, self.done.get(card.uuid, {}))):
                found.append(Deviation(card, line, how))
        return tuple(found)


def host_clocks(wanted: WantedClocks, texts: Mapping[str, str]) -> HostClocks:
    """From the answers to `snippets`. Raises BadInput for clocks that the host's cards cannot have.

    A host of which no card was ever seen has no locks, whatever is wanted.
    """
    readings = clock_reading.parse(texts[READINGS])
    before = boot_lines.parse(texts[BOOT])
    cards = [_clocked(each) for each in readings.cards]
    there = {card.id for card in cards}
    cards += [line.card for line in before if line.card.id not in there]
    cards.sort(key=lambda card: card.id)  # a card that comes or goes moves no line
    try:
        wanted_locks = locks(cards, wanted) if wanted and cards else {}
    except BadInput as refused:
        hint_at_lost(refused, readings.lost)
        raise
    lines = tuple(BootLine(card, wanted_locks[card.id]) for card in cards if card.id in wanted_locks)
    return HostClocks(lines, before, _done(texts[DONE]), readings)


def _clocked(card: ClockReading) -> ClockedCard:
    model, names = model_names(card.name, card.memory_mib)
    return ClockedCard(card.uuid, model, card.supported, names)


def _done(text: str) -> dict[str, Locks]:
    """By UUID, of lines `UUID:KIND LEAST,MOST`."""
    records: dict[str, list[str]] = {}
    for line in text.splitlines():
        uuid, _, noted = line.partition(":")
        records.setdefault(uuid, []).append(noted)
    return {uuid: boot_lines.parse_locks("\n".join(noted)) for uuid, noted in records.items()}


def _how(card: ClockReading, wanted: Locks, done: Locks) -> str | None:
    above = card.above(wanted)
    if above:
        kind = above[0]
        return f"runs its {kind} clock at {card.now_mhz[kind]} MHz, locked to at most {wanted[kind][1]}"
    undone = [kind for kind in KINDS if wanted.get(kind) != done.get(kind)]
    if not undone:
        return None
    kind = undone[0]
    return f"has its {kind} clock set to {written(done, kind)} MHz since boot, not {written(wanted, kind)}"
