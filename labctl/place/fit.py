"""Whether one model fits on given cards, how far its context can go there, and how fast it runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import MIB, Engine, Estimate, Request, mib
from labctl.estimate.speed import Speed
from labctl.place.group import Group
from labctl.place.rules import Unsupported, unsupported

# No chat is held in less; sequences to train on may be short.
LEAST_CONTEXT, LEAST_SEQUENCE = 2048, 512
# How close the largest context is found; engines pad to 256 tokens.
CONTEXT_STEP = 256
# Several cards share one model under these engines; under the others a model lies on one.
LAYERS_ARE_SPLIT: frozenset[Engine] = frozenset({"llama.cpp", "ollama", "transformers"})
SHARED_BY_RANK: frozenset[Engine] = frozenset({"vllm"})
SHARED: frozenset[Engine] = LAYERS_ARE_SPLIT | SHARED_BY_RANK | {"training"}


@dataclass(frozen=True)
class Fit:
    """One model on one group of cards, in one format.

    estimate: for `request`, None where the engine refuses. reason: why it does not fit, None when it does.
    context: the most that each request may reach here; None when even the least does not fit, or there is no context.
    speed: of one request as asked.
    """

    group: Group
    quant: str
    request: Request
    estimate: Estimate | None
    reason: str | None
    context: int | None
    speed: Speed | None

    @property
    def fits(self) -> bool:
        """Whether the request, as asked, fits."""
        return self.reason is None

    @property
    def needs_mib(self) -> tuple[int, ...]:
        """What placement charges, per card; with unified memory the host's part too."""
        return () if self.estimate is None else needs_mib(self.estimate, self.group)

    @property
    def short_mib(self) -> int:
        """How much is missing on the card that lacks the most; 0 when nothing is."""
        pairs = zip(self.needs_mib, self.group.usable_mib, strict=False)
        return max((max(0, needs - usable) for needs, usable in pairs), default=0)


def needs_mib(estimate: Estimate, group: Group) -> tuple[int, ...]:
    """What placement charges each card."""
    shared = needed_on_host(estimate) if group.unified else 0
    return tuple(mib(card.high + shared) for card in estimate.cards)


def on_cards(request: Request, group: Group, engine: Engine) -> Request:
    """The request with how the engine shares a model among these cards."""
    memory = tuple((card.memory_mib or 0) * MIB for card in group.cards)
    shared = replace(request, n_gpus=len(group.cards), card_memory_bytes=memory)
    if engine in SHARED_BY_RANK:
        return replace(shared, tensor_parallel=len(group.cards))
    if engine in LAYERS_ARE_SPLIT and len(set(group.usable_mib)) > 1 and request.tensor_split is None:
        return replace(shared, tensor_split=tuple(float(usable) for usable in group.usable_mib))
    return shared


def fit(candidate: Candidate, quant: str, request: Request, group: Group, *, search: bool = True) -> Fit:
    """How the model does on these cards. search: also find the largest context."""
    asked = on_cards(request, group, candidate.engine)
    refused = not_shared(candidate, group)
    if refused is None and (lacks := not_supported(candidate, quant, asked.kv_type_k, group)):
        refused = lacks.sentence
    if refused:
        return Fit(group, quant, asked, None, refused, None, None)
    try:
        estimate = candidate.estimate(quant, asked)
    except BadInput as error:
        return Fit(group, quant, asked, None, str(error), None, None)
    found = Fit(group, quant, asked, estimate, reason(estimate, group), None, None)
    context = None
    if candidate.context_train and search and not _too_heavy(estimate, group):
        context = largest_context(candidate, quant, asked, group, known=(asked.context, found.fits))
    speed = candidate.speed(quant, estimate, group.runners, group.processor)
    return replace(found, context=context, speed=speed)


def _too_heavy(estimate: Estimate, group: Group) -> bool:
    """Weights alone are too much for a card: no context is short enough."""
    pairs = zip(estimate.cards, group.usable_mib, strict=False)
    return any(card.of("weights") > usable * MIB for card, usable in pairs)


def may_share(candidate: Candidate, group: Group) -> bool:
    """Whether the engine runs one model on these cards at all."""
    return not_shared(candidate, group) is None


def not_shared(candidate: Candidate, group: Group) -> str | None:
    if len(group.cards) > 1 and candidate.engine not in SHARED:
        return f"{candidate.engine} keeps a model on one card"
    if candidate.engine in SHARED_BY_RANK and not group.alike:
        return f"{candidate.engine} shares a model among cards of one compute capability only"
    return None


def not_supported(candidate: Candidate, quant: str, kv_type: str, group: Group) -> Unsupported | None:
    """What the engine's kernels cannot do on these cards; None when nothing is in the way."""
    found = (unsupported(candidate.engine, quant, kv_type, card.gpu) for card in group.cards)
    return next((each for each in found if each), None)


def reason(estimate: Estimate, group: Group) -> str | None:
    """What is short, in words; None when it fits."""
    pairs = zip(needs_mib(estimate, group), group.usable_mib, strict=False)
    missing = [(needs - usable, index) for index, (needs, usable) in enumerate(pairs)]
    short, index = max(missing, key=lambda each: each[0], default=(0, 0))
    if short > 0:
        card = group.cards[index]
        return f"{short} MiB short on {card.id}"
    if (of_ram := _ram_short_mib(estimate, group)) > 0:
        return f"{of_ram} MiB of RAM short on {group.host.name}"
    return None


def _ram_short_mib(estimate: Estimate, group: Group) -> int:
    """More than the host has; 0 or less where it is enough, unknown, or counted on the card already."""
    if group.host.ram_mib is None or group.unified:
        return 0
    return mib(needed_on_host(estimate)) - group.host.ram_mib


def needed_on_host(estimate: Estimate) -> int:
    """Bytes of RAM that a run cannot do without; llama-server's prompt cache is as large as it is allowed to be."""
    return sum(term.high if term.part != "prompt_cache" else term.low for term in estimate.host.terms)


def least_context(candidate: Candidate) -> int:
    """Fewer tokens are no answer."""
    return LEAST_SEQUENCE if candidate.engine == "training" else LEAST_CONTEXT


def largest_context(
    candidate: Candidate, quant: str, request: Request, group: Group, known: tuple[int, bool] | None = None
) -> int | None:
    """The most tokens that each request may reach on these cards, up to what the model was trained for.

    A multiple of 256, or what the model was trained for. None when not even `least_context` fits. known: a context of
    which the answer is there already.
    """
    most = candidate.context_train

    def spare(context: int) -> int:
        """Bytes left on the fullest card; negative when it does not fit."""
        try:
            found = candidate.estimate(quant, replace(request, context=context))
        except BadInput:
            return -1
        if (short := _ram_short_mib(found, group)) > 0:
            return -short * MIB
        shared = needed_on_host(found) if group.unified else 0
        pairs = zip(found.cards, group.usable_mib, strict=False)
        return min(usable * MIB - card.high - shared for card, usable in pairs)

    if (at_most := spare(most)) >= 0:
        return most
    low = min(least_context(candidate), most)
    if known is not None and known[1] and low < known[0] < most:
        low = known[0] // CONTEXT_STEP * CONTEXT_STEP
    if (at_low := spare(low)) < 0:
        return None
    return _search(spare, low, at_low, most, at_most)


def _search(spare: Callable[[int], int], low: int, at_low: int, high: int, at_high: int) -> int:
    """The last step that fits. low fits and high does not; each is left `at_…` bytes.

    Need is close to a straight line over the context, and a little under it in front: the guess lies on the line, then
    closes in from the side it missed on, and every third time it halves what is left.
    """
    step = 0
    while high - low > CONTEXT_STEP:
        share = at_low / (at_low - at_high) if step % 3 != 2 and at_high < 0 else 0.5
        guess = low + int((high - low) * share) // CONTEXT_STEP * CONTEXT_STEP
        guess = min(max(guess, low + CONTEXT_STEP), (high - 1) // CONTEXT_STEP * CONTEXT_STEP)
        if (at_guess := spare(guess)) >= 0:
            low, at_low = guess, at_guess
        else:
            high, at_high = guess, at_guess
        step += 1
    return low
