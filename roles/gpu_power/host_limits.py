"""What the limits of a host should be: by its settings, the cards that answer, those that an earlier deploy knew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.power import reading
from labctl.power.card import PoweredCard
from labctl.power.limits import Wanted, limits
from labctl.power.reading import LimitReading, LimitReadings
from labctl.rig.gpu import plain_name
from labctl.rig.unlisted import identify
from roles.gpu_power import boot_lines
from roles.gpu_power.boot_lines import BootLine

UNIT = "labctl-gpu-power.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
READINGS, BOOT = "gpu power", "gpu power at boot"
# nvidia-smi prints hundredths of a watt; a limit that is set to whole ones is read back as such.
_SAME_WATTS = 0.5


def snippets(wanted: Wanted) -> tuple[tuple[str, str], ...]:
    """The two questions of a survey; a check asks the same.

    Waking cards up takes seconds: where nothing is wanted and no unit of ours is there, nobody asks them.
    """
    needless = "" if wanted else f"[ -e {UNIT_FILE} ] || exit 0\n"
    return ((BOOT, f"cat {UNIT_FILE}"), (READINGS, needless + reading.SCRIPT))


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
        names = ", ".join(f"{line.card.model} {line.card.id}" for line in self.missing)
        why = "; ".join(f"{lost.pci}: {lost.reason}" for lost in self.readings.lost) or self.readings.said
        verb = "does" if len(self.missing) == 1 else "do"
        return f"{names} {verb} not answer ({why or 'nvidia-smi does not list it'})"

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
        if readings.lost and refused.message.startswith("no card here"):
            lost = ", ".join(each.pci for each in readings.lost)
            refused.hint = f"a card does not answer ({lost}): is it that one? {refused.hint}"
        raise
    return HostLimits(
        tuple(BootLine(card, watts[card.id]) for card in cards if card.id in watts),
        readings,
        tuple(each for each in readings.cards if each.uuid in before and each.uuid not in watts),
    )


def _powered(card: LimitReading, before: BootLine | None) -> PoweredCard:
    """A card by what it says; one that once told its limits and now does not is failing, and keeps what it told."""
    if before and None in (card.limit_watts, card.default_watts):
        return before.card
    gpu = identify(card.name, card.memory_mib, None, catalog.gpus())
    model = gpu.name if gpu else "-".join(plain_name(card.name).split()) or "unknown"
    default, least, most = card.default_watts, card.min_watts, card.max_watts
    return PoweredCard(
        card.uuid,
        model,
        None if default is None or card.limit_watts is None else round(default),
        None if least is None else ceil(least),
        None if most is None else floor(most),
        catalog.power_curve(model),
        (card.name, *((gpu.title, *gpu.aliases) if gpu else ())),
    )
