"""Of all the ways a model fits, the one to take, and the changes that would make it fit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import Engine, Request
from labctl.place.fit import Fit, fit, least_context
from labctl.place.group import Group

# Below four bits quality falls fast; above eight nobody has measured a difference: perplexity by format,
# https://github.com/ggml-org/llama.cpp/blob/master/tools/quantize/README.md.
GOOD_BITS, ENOUGH_BITS = 4.1, 9.0
TEXT: frozenset[Engine] = frozenset({"llama.cpp", "ollama", "vllm", "transformers"})
# Older cards have no FP8 of their own (labctl.rig.dtypes).
NATIVE_FP8 = (8, 9)
Bits = Callable[[str], float]


def best(fits: Iterable[Fit], bits: Bits) -> Fit | None:
    """The fewest cards on which a good format fits as asked, and the best format there; None when nothing fits.

    Formats finer than 8 bits come after it, those below 4 bits only when more cards do not help either.
    """
    able = [each for each in fits if each.fits]
    good = [each for each in able if bits(each.quant) >= GOOD_BITS]
    if not good:
        return max(able, key=lambda each: (bits(each.quant), -len(each.group.cards)), default=None)
    fewest = min(len(each.group.cards) for each in good)
    few = [each for each in good if len(each.group.cards) == fewest]
    return max(few, key=lambda each: (*quality(bits(each.quant)), _speed(each)))


def quality(bits: float) -> tuple[bool, float]:
    """For sorting: formats up to 8 bits by their bits, then finer ones, which only take more memory."""
    return (bits <= ENOUGH_BITS, bits if bits <= ENOUGH_BITS else -bits)


def _speed(found: Fit) -> float:
    return found.speed.decode.expected if found.speed else 0.0


@dataclass(frozen=True)
class Suggestion:
    """A change that was tried. change: words to add to the command line; note: what they do, where that is not plain.

    fit: what comes of it; saves_mib: on the fullest card, None where there was no estimate before.
    """

    change: str
    fit: Fit
    saves_mib: int | None
    note: str = ""


@dataclass(frozen=True)
class _Change:
    words: str
    quant: str
    request: Request
    note: str = ""


def suggestions(
    candidate: Candidate, quant: str, request: Request, groups: Sequence[Group], bits: Bits
) -> tuple[Suggestion, ...]:
    """What would make it fit, the change that takes least away first. Every one was estimated anew and fits.

    groups: those the engine runs on. Each is tried on the one with the most memory, where the request does not fit.
    """
    if not groups:
        return ()
    group = max(groups, key=lambda each: sum(each.usable_mib))
    before = fit(candidate, quant, request, group, search=False)

    def tried(changes: Iterable[_Change]) -> Iterator[Suggestion]:
        for change in changes:
            after = fit(candidate, change.quant, change.request, group, search=False)
            if after.fits:
                yield Suggestion(change.words, after, _saved_mib(before, after), change.note)

    one_by_one = tuple(tried(_changes(candidate, quant, request, group, bits)))
    return one_by_one or tuple(tried(_together(candidate, quant, request, group, bits)))


def _saved_mib(before: Fit, after: Fit) -> int | None:
    pairs = list(zip(before.needs_mib, after.needs_mib, strict=False))
    return max(old - new for old, new in pairs) if pairs else None


def _changes(
    candidate: Candidate, quant: str, request: Request, group: Group, bits: Bits
) -> Iterator[_Change]:
    """What to try, as words of the command line, with the format and request that come of it."""
    yield from _smaller_cache(candidate, quant, request, group)
    if candidate.context_train and request.context > least_context(candidate):
        most = fit(candidate, quant, request, group).context
        if most and most < request.context:
            yield _Change(f"--context {most}", quant, replace(request, context=most))
    at_once = _at_once(candidate)
    for fewer in _halves(request.parallel):
        asked = replace(request, parallel=fewer)
        if fit(candidate, quant, asked, group, search=False).fits:
            yield _Change(f"{at_once} {fewer}", quant, asked)
            break
    yield from _smaller_formats(candidate, quant, request, group, bits)
    if candidate.engine == "llama.cpp" and (offloaded := offload(candidate, quant, request, group)):
        yield offloaded


def _together(
    candidate: Candidate, quant: str, request: Request, group: Group, bits: Bits
) -> Iterator[_Change]:
    """Where no change alone helps: one after the other, until a context fits."""
    words: list[str] = []
    for change in _smaller_cache(candidate, quant, request, group):
        words, request = [change.words], change.request
    if request.parallel > 1:
        words, request = [*words, f"{_at_once(candidate)} 1"], replace(request, parallel=1)
    for each in (quant, min(candidate.quants, key=bits)):
        found = fit(candidate, each, request, group)
        named = words if each == quant else [*words, f"--quant {each}"]
        if found.fits and len(named) > 1:
            yield _Change(" ".join(named), each, request)
            return
        if found.context and found.context < request.context:
            shorter = replace(request, context=found.context)
            yield _Change(" ".join([*named, f"--context {found.context}"]), each, shorter)
            return


def _at_once(candidate: Candidate) -> str:
    return "--parallel" if candidate.engine in TEXT else "--batch"


def _smaller_cache(candidate: Candidate, quant: str, request: Request, group: Group) -> Iterator[_Change]:
    if request.kv_type_k != "f16":
        return
    # llama.cpp and Ollama do not quantize values without flash attention.
    if candidate.engine in ("llama.cpp", "ollama") and request.flash_attention is not False:
        yield _Change("--kv-type q8_0", quant, replace(request, kv_type_k="q8_0", kv_type_v="q8_0"))
    if candidate.engine == "vllm" and all(card.gpu.capability >= NATIVE_FP8 for card in group.cards):
        yield _Change("--kv-type fp8", quant, replace(request, kv_type_k="fp8", kv_type_v="fp8"))


def _smaller_formats(
    candidate: Candidate, quant: str, request: Request, group: Group, bits: Bits
) -> Iterator[_Change]:
    shortened = False
    smaller = sorted((each for each in candidate.quants if bits(each) < bits(quant)), key=bits, reverse=True)
    for each in smaller:
        if fit(candidate, each, request, group, search=False).fits:
            yield _Change(f"--quant {each}", each, request)
            return
        most = fit(candidate, each, request, group).context if candidate.context_train else None
        if most and not shortened and most < request.context:
            shortened = True
            yield _Change(f"--quant {each} --context {most}", each, replace(request, context=most))


def _halves(count: int) -> list[int]:
    halves = []
    while count > 1:
        count //= 2
        halves.append(count)
    return halves


def offload(candidate: Candidate, quant: str, request: Request, group: Group) -> _Change | None:
    """The least that has to move to the host: experts where there are any, else whole layers; None when RAM is short.

    llama.cpp's `-ncmoe N` keeps the experts of the first N layers on the host, `-ngl N` puts only N layers on cards.
    """
    if group.unified:  # the host's memory is the card's
        return None
    n_layers, has_experts = candidate.layers

    def experts(moved: int) -> Request:
        return replace(request, n_cpu_moe=moved)

    def layers(moved: int) -> Request:
        return replace(request, n_gpu_layers=n_layers + 1 - moved)

    def relieved(asked: Request) -> bool:
        """Whether the cards hold it. RAM is looked at in the end: the more is moved, the more it takes."""
        found = fit(candidate, quant, asked, group, search=False)
        return found.estimate is not None and found.short_mib == 0

    if has_experts and (moved := _least(n_layers, lambda n: relieved(experts(n)))):
        asked = experts(moved)
        note = f"experts of {moved} of {n_layers} layers in RAM"
        if fit(candidate, quant, asked, group, search=False).fits:
            return _Change(f"--n-cpu-moe {moved}", quant, asked, note)
    # All but one: without layers on a card there would be no need of one.
    moved = _least(n_layers, lambda n: relieved(layers(n)))
    if not moved:
        return None
    asked = layers(moved)
    if not fit(candidate, quant, asked, group, search=False).fits:
        return None
    return _Change(
        f"--n-gpu-layers {n_layers + 1 - moved}", quant, asked, f"{moved} of {n_layers + 1} layers in RAM"
    )


def _least(most: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 to most for which `holds`, which stays true once it is."""
    if most < 1 or not holds(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
