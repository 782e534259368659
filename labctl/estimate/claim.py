"""What is asked of an engine, and what that takes, term by term. Bytes throughout; MiB appear when printed."""

from dataclasses import dataclass, replace
from typing import Literal

from labctl.models.model import Confidence, Model

MIB = 1024 * 1024
Engine = Literal[
    "llama.cpp", "ollama", "vllm", "transformers", "comfyui", "diffusers", "whisper", "training", "declared"
]
# What the contract's JSON sums up by. prompt_cache exists on the host only, context_overhead on cards only.
Part = Literal["weights", "kv_cache", "compute", "scratch", "context_overhead", "prompt_cache"]
ALL_LAYERS = 999


@dataclass(frozen=True)
class Request:
    """How a model is to be run. None: the engine's own default.

    context: tokens that each of `parallel` requests may reach. kv_type_k, kv_type_v: ggml's or the engine's name in
    lower case (f16, q8_0, q4_0, fp8). batch, ubatch: tokens. n_gpus: cards that share the model.
    n_gpu_layers: as llama.cpp counts, so n_layers + 1 includes the output. tensor_split: one share per card.
    n_cpu_moe: so many first layers keep their routed experts on the host. kv_unified: all slots share one KV stream.
    prompt_cache_mib: llama-server's host cache, 0 for none. mmproj, draft: loaded beside the model.
    memory_fraction: vLLM's --gpu-memory-utilization. card_memory_bytes: as CUDA sees it, of each card.
    """

    engine: Engine
    context: int
    parallel: int = 1
    engine_build: str | None = None
    kv_type_k: str = "f16"
    kv_type_v: str = "f16"
    batch: int | None = None
    ubatch: int | None = None
    flash_attention: bool | None = None
    n_gpus: int = 1
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    n_gpu_layers: int = ALL_LAYERS
    tensor_split: tuple[float, ...] | None = None
    n_cpu_moe: int = 0
    kv_unified: bool = False
    offload_kqv: bool = True
    prompt_cache_mib: int | None = None
    mmproj: Model | None = None
    draft: Model | None = None
    memory_fraction: float | None = None
    card_memory_bytes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Term:
    """One summand, in bytes. formula: with its numbers in it. source: where formula or constant come from."""

    part: Part
    name: str
    low: int
    expected: int
    high: int
    formula: str
    source: str

    def scaled(self, factor: float) -> "Term":
        """The same term, `factor` times as large."""
        return replace(
            self,
            low=int(self.low * factor),
            expected=int(self.expected * factor),
            high=int(self.high * factor),
        )


def exact(part: Part, name: str, n_bytes: int, formula: str, source: str) -> Term:
    """A term that the engine computes itself before it allocates: no range."""
    return Term(part, name, n_bytes, n_bytes, n_bytes, formula, source)


@dataclass(frozen=True)
class PlaceEstimate:
    """Memory of one place: a card, or the host (`name` is `host`, else the card's index)."""

    name: str
    terms: tuple[Term, ...]

    def of(self, part: Part) -> int:
        """Expected bytes of one part."""
        return sum(term.expected for term in self.terms if term.part == part)

    @property
    def low(self) -> int:
        """The least it may take, bytes."""
        return sum(term.low for term in self.terms)

    @property
    def expected(self) -> int:
        """What it most likely takes, bytes."""
        return sum(term.expected for term in self.terms)

    @property
    def high(self) -> int:
        """What placement charges, bytes."""
        return sum(term.high for term in self.terms)


@dataclass(frozen=True)
class Estimate:
    """What a request takes. cards: in the engine's own order. notes: what a person should know."""

    model: str
    request: Request
    cards: tuple[PlaceEstimate, ...]
    host: PlaceEstimate
    confidence: Confidence
    notes: tuple[str, ...] = ()

    def of(self, part: Part) -> int:
        """Expected bytes of one part, over all cards."""
        return sum(card.of(part) for card in self.cards)


def mib(n_bytes: int) -> int:
    """Bytes as MiB, rounded up: a claim is never short."""
    return -(-n_bytes // MIB)
