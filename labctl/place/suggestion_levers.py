"""Levers: the single things that a person could change, on a workload, tried wide first and then as little as it takes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from labctl.estimate.claim import Engine
from labctl.place.fit import LEAST_CONTEXT, LEAST_SEQUENCE
from labctl.place.options import Wish
from labctl.place.placement import Placement, Question
from labctl.place.problem import Option
from labctl.place.suggestion import Alternatives, Change, Kind
from labctl.place.variants import USUAL_CONTEXT
from labctl.workloads.workload import Amount, Workload

# Where the cache may be held in fewer bits, and what the engines call that. bits a number, q8_0 34/32 bytes.
SMALLER_CACHES: dict[Engine, tuple[str, ...]] = {
    "llama.cpp": ("q8_0", "q4_0"),
    "ollama": ("q8_0", "q4_0"),
    "vllm": ("fp8",),
}
_LOSS = {
    "q8_0": "its KV cache in 8 bits, hardly any loss",
    "q4_0": "its KV cache in 4 bits, long answers suffer",
    "fp8": "its KV cache in 8 bits, hardly any loss",
}
# Fewer bits a weight are no model any more: perplexity by format, as in `choice`.
LEAST_BITS = 3.0
SIZES = ((768, 768), (512, 512))
# Steps of a smaller optimizer: its moments in 8 bits, then paged out to RAM when the card is full.
_OPTIMIZERS = ("adamw", "adamw_8bit", "paged_adamw_8bit")
_METHODS = ("full", "lora", "qlora")

Apply = Callable[[Question, Placement | None], Change | None]


@dataclass(frozen=True)
class Lever:
    """apply: the question with it changed; without a placement as widely as makes sense, with one only as far as that
    placement makes use of it. None where there is nothing to change.
    """

    kind: Kind
    apply: Apply


# Tried in turn until one helps: each takes more away than the one before.
Ladder = tuple[Lever, ...]


def wish_of(question: Question, name: str) -> Wish:
    """Of the workload of that name."""
    return next(wish for wish in question.wishes if wish.workload.name == name)


def with_wish(question: Question, wish: Wish) -> Question:
    """The same question with this one in the place of the one of its name."""
    name = wish.workload.name
    return replace(
        question, wishes=tuple(wish if each.workload.name == name else each for each in question.wishes)
    )


def entry(question: Question, kind: Kind, writes: Iterable[str], note: str, wish: Wish) -> Change:
    """A change of one entry of the workloads file. writes: without the entry's name."""
    name = wish.workload.name
    lines = tuple(f"{name}.{each}" for each in writes)
    return Change((kind,), lines, note, with_wish(question, wish), (name,))


def listed(values: Iterable[object]) -> str:
    """As YAML writes a list in one line."""
    return f"[{', '.join(map(str, values))}]"


def on_workload(wish: Wish, other: Alternatives, *, every_format: bool) -> Iterator[Ladder]:
    """What could be changed in how a workload runs, least first. every_format: its own have no kernels on the cards."""
    workload, candidate = wish.workload, wish.candidate
    if candidate is None:
        return
    name = workload.name
    yield tuple(_cache(name, kv_type) for kv_type in _caches(wish))
    if workload.training is None and candidate.context_train:
        yield (Lever("context", lambda question, found: _context(question, name, found)),)
    if workload.training is not None:
        yield from _training(wish, other)
    elif candidate.engine in ("comfyui", "diffusers"):
        yield tuple(_size(name, size, other) for size in _smaller_sizes(workload))
    if workload.parallel.least > 1:
        yield (Lever("parallel", lambda question, found: _parallel(question, name, found)),)
    if more := _more_formats(wish, other, every_format=every_format):
        yield tuple(_format(name, quant) for quant in more)
    if candidate.engine == "llama.cpp" and not workload.offload:
        yield (Lever("offload", lambda question, _: _offload(question, name)),)
    yield from _on_processor(wish)
    yield tuple(_model(name, model, other) for model in other.smaller_models(wish))


def _caches(wish: Wish) -> Iterator[str]:
    assert wish.candidate is not None
    if not wish.candidate.context_train or wish.workload.training is not None:
        return
    held = set(wish.workload.kv_types or ("f16",))
    for kv_type in SMALLER_CACHES.get(wish.candidate.engine, ()):
        if not held & {"q8_0", "fp8"} or (kv_type == "q4_0" and "q4_0" not in held):
            yield kv_type


def _cache(name: str, kv_type: str) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        wish = wish_of(question, name)
        changed = replace(wish, workload=replace(wish.workload, kv_types=(kv_type,)))
        return entry(question, "kv_type", [f"kv_type: {kv_type}"], _LOSS[kv_type], changed)

    return Lever("kv_type", apply)


def _context(question: Question, name: str, found: Placement | None) -> Change | None:
    wish = wish_of(question, name)
    assert wish.candidate is not None
    usual = min(USUAL_CONTEXT, wish.candidate.context_train)
    asked = wish.workload.context or Amount(usual, usual)
    least = min(LEAST_CONTEXT, asked.least)
    if (option := _chosen(found, name)) is not None:
        least = min(asked.least, int(option.variant.get("context", least)))
    if least >= asked.least and found is None:
        return None
    changed = replace(wish, workload=replace(wish.workload, context=Amount(asked.want, least)))
    note = f"requests may reach {least} tokens where they were to reach {asked.least}"
    return entry(question, "context", [f"context: {{want: {asked.want}, min: {least}}}"], note, changed)


def _parallel(question: Question, name: str, found: Placement | None) -> Change | None:
    wish = wish_of(question, name)
    asked, least = wish.workload.parallel, 1
    if (option := _chosen(found, name)) is not None:
        least = min(asked.least, int(option.variant.get("parallel", 1)))
    changed = replace(wish, workload=replace(wish.workload, parallel=Amount(asked.want, least)))
    note = f"{least} at once where there were to be {asked.least}"
    return entry(question, "parallel", [f"parallel: {{want: {asked.want}, min: {least}}}"], note, changed)


def _chosen(found: Placement | None, name: str) -> Option | None:
    return None if found is None else found.placed.get(name)


def _more_formats(wish: Wish, other: Alternatives, *, every_format: bool) -> list[str]:
    assert wish.candidate is not None
    if wish.workload.training is not None:
        return []
    held = {quant.lower() for quant in wish.candidate.quants}
    coarsest = min(other.bits(quant) for quant in wish.candidate.quants)
    more = [quant for quant in other.formats(wish) if quant.lower() not in held]
    if every_format:
        return sorted(more, key=lambda quant: abs(other.bits(quant) - coarsest))
    return [quant for quant in more if LEAST_BITS <= other.bits(quant) < coarsest]


def _format(name: str, quant: str) -> Lever:
    def apply(question: Question, _: Placement | None) -> Change:
        wish = wish_of(question, name)
        assert wish.candidate is not None
        key = wish.workload.format_key
        quants = (quant,) if key == "dtype" else (*wish.candidate.quants, quant)
        workload = replace(wish.workload, quants=quants)
        # Every kind of candidate is a value with its formats in it; made anew it would estimate everything again.
        candidate = replace(wish.candidate, quants=quants)  # type: ignore[type-var]
        changed = replace(wish, workload=workload, candidate=candidate)
        written = quant if key == "dtype" else listed(quants)
        return entry(question, "quant", [f"{key}: {written}"], f"its weights in {quant}", changed)

    return Lever("quant", apply)


def _offload(question: Question, name: str) -> Change:
    wish = wish_of(question, name)
    changed = replace(wish, workload=replace(wish.workload, offload=True))
    return entry(question, "offload", ["offload: true"], "part of it runs from RAM, which is slower", changed)


def _on_processor(wish: Wish) -> Iterator[Ladder]:
    """No card at all: what llama.cpp does with all layers in RAM, and faster-whisper on any processor."""
    workload, name = wish.workload, wish.workload.name
    assert wish.candidate is not None

    def alone(question: Question, _: Placement | None) -> Change:
        found = wish_of(question, name)
        limits = replace(found.workload.gpus, count=None)
        changed = replace(found, workload=replace(found.workload, offload=True, gpus=limits))
        writes = ["gpus.count: null", *([] if found.workload.offload else ["offload: true"])]
        return entry(question, "processor", writes, "it may run on the processor, which is slower", changed)

    if wish.candidate.engine == "llama.cpp" and workload.gpus.count:
        yield (Lever("processor", alone),)


def _smaller_sizes(workload: Workload) -> list[tuple[int, int]]:
    width, height = workload.size or (1024, 1024)
    return [size for size in SIZES if size[0] * size[1] < width * height]


def _size(name: str, size: tuple[int, int], other: Alternatives) -> Lever:
    written = f"{size[0]}x{size[1]}"
    return _rebuilt(
        "size",
        name,
        other,
        [f"size: {written}"],
        f"pictures of {written}",
        lambda workload: replace(workload, size=size),
    )


def _model(name: str, model: str, other: Alternatives) -> Lever:
    return _rebuilt(
        "model", name, other, [f"model: {model}"], "a smaller model", lambda each: replace(each, model=model)
    )


def _training(wish: Wish, other: Alternatives) -> Iterator[Ladder]:
    asked, name = wish.workload.training, wish.workload.name
    assert asked is not None

    def lever(kind: Kind, key: str, value: int | str, note: str) -> Lever:
        return _rebuilt(
            kind,
            name,
            other,
            [f"training.{key}: {value}"],
            note,
            lambda each: replace(each, training=replace(each.training, **{key: value})),  # type: ignore[type-var]
        )

    lengths = [length for length in (4096, 2048, 1024, 512) if LEAST_SEQUENCE <= length < asked.sequence]
    yield tuple(
        lever("context", "sequence", each, f"it learns from {each} tokens at a time") for each in lengths
    )
    batches = [batch for batch in (8, 4, 2, 1) if batch < asked.batch]
    yield tuple(lever("parallel", "batch", each, f"{each} sequences a step") for each in batches)
    if asked.optimizer in _OPTIMIZERS:
        smaller = _OPTIMIZERS[_OPTIMIZERS.index(asked.optimizer) + 1 :]
        yield tuple(lever("optimizer", "optimizer", each, "smaller moments") for each in smaller)
    cheaper = _METHODS[_METHODS.index(asked.method) + 1 :]
    yield tuple(lever("quant", "method", each, "adapters instead of the model itself") for each in cheaper)


def _rebuilt(
    kind: Kind,
    name: str,
    other: Alternatives,
    writes: list[str],
    note: str,
    change: Callable[[Workload], Workload],
) -> Lever:
    """For what decides which model is loaded and how: the entry is looked up again."""

    def apply(question: Question, _: Placement | None) -> Change | None:
        wish = wish_of(question, name)
        changed = other.wish(change(wish.workload))
        return None if changed is None else entry(question, kind, writes, note, changed)

    return Lever(kind, apply)
