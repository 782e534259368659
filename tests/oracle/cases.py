"""What is asked of the oracle, and of the estimator: the same cases."""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.estimate.claim import ALL_LAYERS, Request
from tests.oracle.shapes import SHAPES

CONTEXTS = (2048, 4096, 8192, 32768, 131072)
PARALLEL = (1, 4)
CACHE_TYPES = ("f16", "q8_0", "q4_0")
# No KV cache, so its type is nothing to vary.
_ONLY_STATE = frozenset({"mamba-2.8b", "mamba2-2.7b", "rwkv6-3b", "rwkv7-2.9b"})
# 0.7.0's scheduler aborts over RPC on a fused projection with a quantized cache and several streams: nothing to hold
# the estimate against.
_ABORTS = frozenset({"phi-4"})
_EXPERTS = frozenset({
    "mixtral-8x7b", "qwen3-30b-a3b", "gpt-oss-20b", "glm-4.5-air", "deepseek-v2-lite", "phi-3.5-moe",
    "qwen1.5-moe-a2.7b", "nemotron-3-nano-30b", "granite-4-h-small",
})  # fmt: skip
_LAYOUTS: tuple[tuple[int, tuple[float, ...] | None, int], ...] = (
    (2, None, ALL_LAYERS),
    (2, (3, 1), ALL_LAYERS),
    (3, (1, 2, 1), ALL_LAYERS),
    (1, None, 10),
    (2, (1, 2), 12),
)


@dataclass(frozen=True)
class Case:
    """One question. split: shares of the cards."""

    model: str
    context: int = 8192
    parallel: int = 1
    cache: str = "f16"
    n_cards: int = 1
    split: tuple[float, ...] | None = None
    n_gpu_layers: int = ALL_LAYERS
    n_cpu_moe: int = 0
    ubatch: int = 512
    flash_attention: bool = True

    @property
    def request(self) -> Request:
        """As the estimator is asked."""
        return Request(
            engine="llama.cpp",
            context=self.context,
            parallel=self.parallel,
            kv_type_k=self.cache,
            kv_type_v=self.cache,
            ubatch=self.ubatch,
            flash_attention=self.flash_attention,
            n_gpus=self.n_cards,
            tensor_split=self.split,
            n_gpu_layers=self.n_gpu_layers,
            n_cpu_moe=self.n_cpu_moe,
        )

    @property
    def arguments(self) -> tuple[str, ...]:
        """As the program is asked."""
        words = ["-c", str(self.context * self.parallel), "-np", str(self.parallel), "-ub", str(self.ubatch)]
        words += ["-ctk", self.cache, "-ctv", self.cache, "-ngl", str(self.n_gpu_layers)]
        words += ["-fa", "on" if self.flash_attention else "off"]
        if self.split:
            words += ["-ts", ",".join(f"{share:g}" for share in self.split)]
        if self.n_cpu_moe:
            words += ["-ncmoe", str(self.n_cpu_moe)]
        return tuple(words)

    @property
    def key(self) -> str:
        """The same, as one line: how recorded rows are found."""
        return f"{self.n_cards} cards {' '.join(self.arguments)}"


def all_cases() -> Iterator[Case]:
    """Every model × context × parallel × cache, and every model in every layout."""
    for model in SHAPES:
        yield from (case for case in (*_alone(model), *layouts(model)) if not _aborts(case))


def _aborts(case: Case) -> bool:
    return case.model in _ABORTS and case.parallel > 1 and case.cache != "f16"


def _alone(model: str) -> Iterator[Case]:
    for context in CONTEXTS:
        for parallel in PARALLEL:
            for cache in ("f16",) if model in _ONLY_STATE else CACHE_TYPES:
                yield Case(model, context, parallel, cache)


def layouts(model: str) -> Iterator[Case]:
    """One model over several cards, partly on the host, with other batches."""
    for n_cards, split, n_gpu_layers in _LAYOUTS:
        yield Case(model, n_cards=n_cards, split=split, n_gpu_layers=n_gpu_layers)
    yield Case(model, context=32768, parallel=4, n_cards=2, split=(3, 1), cache="q8_0")
    yield Case(model, ubatch=1024)
    yield Case(model, context=256, ubatch=64)
    yield Case(model, flash_attention=False)
    yield Case(model, context=32768, parallel=4, n_cards=2, split=(1, 2), flash_attention=False)
    yield Case(model, n_gpu_layers=10, flash_attention=False)
    if model in _EXPERTS:
        yield Case(model, n_cpu_moe=8)
        yield Case(model, n_cards=2, n_cpu_moe=99)


def covering_cases() -> list[Case]:
    """Every model in every layout and at every context, and every two values of all other settings together."""
    return [
        case
        for number, model in enumerate(SHAPES)
        for case in (*_across(model, number), *layouts(model))
        if not _aborts(case)
    ]


def _across(model: str, first: int) -> Iterator[Case]:
    """A diagonal through contexts, slots and caches; another one for every model."""
    caches = ("f16",) if model in _ONLY_STATE else CACHE_TYPES
    for step, context in enumerate(CONTEXTS):
        number = first + step
        yield Case(model, context, PARALLEL[number % len(PARALLEL)], caches[number % len(caches)])
