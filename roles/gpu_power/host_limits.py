"""What the limits of a host should be: by its settings, the cards that answer, those that an earlier deploy knew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.hoststate.files import File
from labctl.power import reading
from labctl.power.card import PoweredCard
from labctl.power.limits import Wanted, limits
from labctl.power.reading import LimitReading, LimitReadings
from labctl.rig.reported import Lost
from roles.gpu_power import boot_lines
from roles.gpu_power.boot_lines import BootLine
from roles.gpu_power.card_unit import CardUnit
from roles.gpu_power.model_names import model_names
from roles.nvidia_driver import one_card

POWER = CardUnit(
    "labctl-gpu-power",
    "gpu_power",
    "Power limits",
    72,
    program=File(one_card.PROGRAM, one_card.TEXT, mode="755"),
)
READINGS, BOOT = "gpu power", "gpu power at boot"
# nvidia-smi prints hundredths of a watt; a limit that is set to whole ones is read back as such.
_SAME_WATTS = 0.5


def snippets(wanted: Wanted) -> tuple[tuple[str, str], ...]:
    """The two questions of a survey; a check asks the same.

    Waking cards up takes seconds: where nothing is wanted and no unit of ours is there, nobody asks them.
    """
    needless = "" if wanted else f"[ -e {POWER.path} ] || exit 0\n"
    return ((BOOT, f"cat {POWER.path}"), (READINGS, needless + reading.SCRIPT))


@dataclass(frozen=True)
class HostLimits:
    """lines: every card that is to be limited, there or not. released: limited by us, there, and not to be any more."""

    lines: tuple[BootLine, ...]
    readings: LimitReadings
    released: tuple[LimitReading, ...]

    @property
    def answering(self) -> Mapping[str, LimitReading]:
        """The cards that answer, by UUID."""
        return {card.uuid: card for card in self.readings.cards}

    @property
    def missing(self) -> tuple[BootLine, ...]:
        """The cards that are to be limited and do not answer."""
        return tuple(line for line in self.lines if line.card.id not in self.answering)

    @property
    def unanswered(self) -> str | None:
        """A sentence that names them; None when all answer."""
        if not self.missing:
            return None
        names = [f"{line.card.model} {line.card.id}" for line in self.missing]
        return reading.unanswered(names, self.readings.lost, self.readings.said)

    @property
    def deviating(self) -> tuple[tuple[LimitReading, int], ...]:
        """The cards whose limit is another at this moment, with the watts it should be."""
        return tuple(
            (card, line.watts)
            for line in self.lines
            if (card := self.answering.get(line.card.id)) is not None and deviates(card, line.watts)
        )


def deviates(card: LimitReading, watts: float) -> bool:
    """Whether a card's limit is another."""
    return card.limit_watts is None or abs(card.limit_watts - watts) >= _SAME_WATTS


def host_limits(wanted: Wanted, texts: Mapping[str, str]) -> HostLimits:
    """From the answers to `snippets`. Raises BadInput for limits that the host's cards cannot have.

    A host of which no card was ever seen has no limits, whatever is wanted.
    """
    readings = reading.parse(texts[READINGS])
    before = {line.card.id: line for line in boot_lines.parse(texts[BOOT])}
    cards = [_powered(each, before.get(each.uuid)) for each in readings.cards]
    there = {card.id for card in cards}
    cards += [line.card for line in before.values() if line.card.id not in there]
    cards.sort(key=lambda card: card.id)  # a card that comes or goes moves no line
    try:
        watts = limits(cards, wanted) if wanted and cards else {}
    except BadInput as refused:
        hint_at_lost(refused, readings.lost)
        raise
    return HostLimits(
        tuple(BootLine(card, watts[card.id]) for card in cards if card.id in watts),
        readings,
        tuple(each for each in readings.cards if each.uuid in before and each.uuid not in watts),
    )


def hint_at_lost(refused: BadInput, lost: Sequence[Lost]) -> None:
    """A name that no card has may be that of one that does not answer."""
    if lost and refused.message.startswith("no card here"):
        named = ", ".join(each.pci for each in lost)
        refused.hint = f"a card does not answer ({named}): is it that one? {refused.hint}"


def _powered(card: LimitReading, before: BootLine | None) -> PoweredCard:
    """A card by what it says; one that once told its limits and now does not is failing, and keeps what it told."""
    if before and None in (card.limit_watts, card.default_watts):
        return before.card
    model, names = model_names(card.name, card.memory_mib)
    default, least, most = card.default_watts, card.min_watts, card.max_watts
    return PoweredCard(
        card.uuid,
        model,
        None if default is None or card.limit_watts is None else round(default),
        None if least is None else ceil(least),
        None if most is None else floor(most),
        catalog.power_curve(model),
        names,
    )
