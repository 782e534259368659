"""Of all the ways a model fits, the one to take, and the changes that would make it fit."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import Request, mib
from labctl.place.fit import LEAST_CONTEXT, Fit, fit
from labctl.place.group import Group

# Below four bits quality falls fast; above eight nobody has measured a difference: perplexity by format,
# https://github.com/ggml-org/llama.cpp/blob/master/tools/quantize/README.md.
GOOD_BITS, ENOUGH_BITS = 4.1, 9.0
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
    """A change that was tried. change: what to do; fit: what comes of it; saves_mib: on the fullest card, or None."""

    change: str
    fit: Fit
    saves_mib: int | None


def suggestions(
    candidate: Candidate, quant: str, request: Request, groups: Sequence[Group], bits: Bits
) -> tuple[Suggestion, ...]:
    """What would make it fit, the change that takes least away first. Every one was estimated anew and fits.

    Each is tried on the largest group, where the request as it stands does not fit.
    """
    if not groups:
        return ()
    group = max(groups, key=lambda each: sum(each.usable_mib))
    before = fit(candidate, quant, request, group, search=False)
    found = []
    for change, other, asked in _changes(candidate, quant, request, group, bits):
        after = fit(candidate, other, asked, group, search=False)
        if after.fits:
            found.append(Suggestion(change, after, _saved_mib(before, after)))
    return tuple(found)


def _saved_mib(before: Fit, after: Fit) -> int | None:
    if not (before.estimate and after.estimate):
        return None
    pairs = zip(before.estimate.cards, after.estimate.cards, strict=False)
    return max((mib(old.high) - mib(new.high) for old, new in pairs), default=0)


def _changes(
    candidate: Candidate, quant: str, request: Request, group: Group, bits: Bits
) -> Iterator[tuple[str, str, Request]]:
    """What to try, as an option of the command line, with the format and request that come of it."""
    if candidate.engine in ("llama.cpp", "ollama") and request.kv_type_k == "f16":
        yield "--kv-type q8_0", quant, replace(request, kv_type_k="q8_0", kv_type_v="q8_0")
    if candidate.context_train and request.context > LEAST_CONTEXT:
        most = fit(candidate, quant, request, group).context
        if most and most < request.context:
            yield f"--context {most}", quant, replace(request, context=most)
    for fewer in _halves(request.parallel):
        asked = replace(request, parallel=fewer)
        if fit(candidate, quant, asked, group, search=False).fits:
            yield f"--parallel {fewer}", quant, asked
            break
    shortened = False
    smaller = sorted((each for each in candidate.quants if bits(each) < bits(quant)), key=bits, reverse=True)
    for each in smaller:
        if fit(candidate, each, request, group, search=False).fits:
            yield f"--quant {each}", each, request
            break
        most = fit(candidate, each, request, group).context if candidate.context_train else None
        if most and not shortened:
            shortened = True
            yield f"--quant {each} --context {most}", each, replace(request, context=most)
    if candidate.engine == "llama.cpp" and (offloaded := offload(candidate, quant, request, group)):
        change, asked = offloaded
        yield change, quant, asked


def _halves(count: int) -> list[int]:
    halves = []
    while count > 1:
        count //= 2
        halves.append(count)
    return halves


def offload(candidate: Candidate, quant: str, request: Request, group: Group) -> tuple[str, Request] | None:
    """The least that has to move to the host: experts where there are any, else whole layers; None when RAM is short.

    llama.cpp's `-ncmoe N` keeps the experts of the first N layers on the host, `-ngl N` puts only N layers on cards.
    """
    n_layers, has_experts = candidate.layers
    if has_experts:
        moved = _least(
            n_layers, lambda n: _offload_fits(candidate, quant, replace(request, n_cpu_moe=n), group)
        )
        if moved:
            return f"--n-cpu-moe {moved} (experts of {moved} of {n_layers} layers in RAM)", replace(
                request, n_cpu_moe=moved
            )
    moved = _least(
        n_layers,
        lambda n: _offload_fits(candidate, quant, replace(request, n_gpu_layers=n_layers + 1 - n), group),
    )
    if not moved or moved > n_layers:
        return None
    kept = n_layers + 1 - moved
    return f"--n-gpu-layers {kept} (the rest of {n_layers + 1} in RAM)", replace(request, n_gpu_layers=kept)


def _offload_fits(candidate: Candidate, quant: str, request: Request, group: Group) -> bool:
    return fit(candidate, quant, request, group, search=False).fits


def _least(most: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 to most for which `holds`, which stays true once it is."""
    if not holds(most):
        return None
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
