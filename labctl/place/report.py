"""Everything `labctl fit MODEL` has to say, as one value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import Estimate, Request
from labctl.estimate.speed import Speed
from labctl.place.cards import Enough, enough
from labctl.place.choice import GOOD_BITS, Bits, Suggestion, best, suggestions
from labctl.place.fit import Fit, fit, may_share
from labctl.place.group import Group
from labctl.rig.gpu import Gpu

if TYPE_CHECKING:
    from labctl.estimate.calibration import Measurement

# Where nobody names a format and no cards are known: what most people download first.
USUAL_QUANT = "Q4_K_M"


@dataclass(frozen=True)
class Report:
    """What fits, and the one that is shown in full.

    shown: the request, format and cards that `estimate` and `speed` speak of; group None without cards. answer: whether
    it fits as asked; None where there are no cards of the person's own. imagined: the cards are examples.
    """

    candidate: Candidate
    request: Request
    quant: str
    group: Group | None
    estimate: Estimate
    speed: Speed | None
    fits: tuple[Fit, ...]
    answer: bool | None
    reason: str | None
    imagined: bool
    suggestions: tuple[Suggestion, ...]
    enough: tuple[Enough, ...]


@dataclass(frozen=True)
class Asked:
    """The question. ranks: cards that must share the model, None for any number. gpus: what could be bought."""

    candidate: Candidate
    request: Request
    groups: tuple[Group, ...]
    imagined: bool
    gpus: Callable[[], tuple[Gpu, ...]]
    bits: Bits
    measurements: "tuple[Measurement, ...]" = ()
    ranks: int | None = None


def report(asked: Asked) -> Report:
    """The answer. Raises BadInput where the engine refuses the request on any cards."""
    candidate, request = asked.candidate, asked.request
    groups = [group for group in asked.groups if asked.ranks in (None, len(group.cards))]
    fits = tuple(
        fit(_measured(asked, group), quant, request, group) for quant in candidate.quants for group in groups
    )
    chosen = None if asked.imagined else best(fits, asked.bits)
    if chosen is None or chosen.estimate is None:
        return _without_cards_that_do(asked, groups, fits)
    return Report(
        candidate,
        chosen.request,
        chosen.quant,
        chosen.group,
        chosen.estimate,
        chosen.speed,
        fits,
        answer=True,
        reason=None,
        imagined=False,
        suggestions=(),
        enough=(),
    )


def _without_cards_that_do(asked: Asked, groups: Sequence[Group], fits: tuple[Fit, ...]) -> Report:
    """No cards, or none that hold it: the estimate for as many as asked for, and what would help."""
    candidate = asked.candidate
    quant = _usual(candidate, asked.bits)
    own = [each for each in fits if each.quant == quant and each.estimate] if not asked.imagined else []
    nearest_fit = min(own, key=lambda each: (each.short_mib, len(each.group.cards)), default=None)
    group, why, speed = None, None, None
    if nearest_fit is not None and nearest_fit.estimate is not None:
        estimate, request, speed = nearest_fit.estimate, nearest_fit.request, nearest_fit.speed
        group, why = nearest_fit.group, nearest_fit.reason
    else:
        ranks = asked.ranks or 1
        request = replace(asked.request, n_gpus=ranks)
        if candidate.engine == "vllm":
            request = replace(request, tensor_parallel=ranks)
        estimate = candidate.estimate(quant, request)
        # Of the format that is shown, if it says anything.
        of_shown = sorted(fits, key=lambda each: each.quant != quant)
        why = next((each.reason for each in of_shown if each.reason), None)
    changes: tuple[Suggestion, ...] = ()
    if not asked.imagined and groups:
        changes = _changes_that_help(asked, quant, groups)
    return Report(
        candidate,
        request,
        quant,
        group,
        estimate,
        speed,
        fits,
        answer=None if asked.imagined else False,
        reason=None if asked.imagined else why,
        imagined=asked.imagined,
        suggestions=changes,
        enough=enough(candidate, quant, asked.request, asked.gpus()),
    )


def _usual(candidate: Candidate, bits: Bits) -> str:
    """What to show where nothing was chosen: as asked, Q4_K_M, or the smallest format that is still good."""
    if USUAL_QUANT in candidate.quants:
        return USUAL_QUANT
    good = [quant for quant in candidate.quants if bits(quant) >= GOOD_BITS]
    return min(good or candidate.quants, key=bits)


def _changes_that_help(asked: Asked, quant: str, groups: Sequence[Group]) -> tuple[Suggestion, ...]:
    able = [group for group in groups if may_share(asked.candidate, group)]
    if not able:
        return ()
    roomiest = max(able, key=lambda group: sum(group.usable_mib))
    return suggestions(_measured(asked, roomiest), quant, asked.request, [roomiest], asked.bits)


def _measured(asked: Asked, group: Group) -> Candidate:
    """The candidate as these cards run it: corrected by measurements, where there are any."""
    kinds = {card.gpu.name for card in group.cards}
    speaking = tuple(each for each in asked.measurements if each.engine == asked.candidate.engine)
    if len(kinds) != 1 or not speaking:
        return asked.candidate
    from labctl.place.measured import Measured

    return Measured(asked.candidate, kinds.pop(), speaking)
