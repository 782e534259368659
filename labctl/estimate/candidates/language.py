"""A language model under llama.cpp, Ollama, vLLM or transformers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Processor, Runner
from labctl.estimate.claim import ALL_LAYERS, Engine, Estimate, Request
from labctl.estimate.llama_cpp.estimate import estimate as estimate_llama_cpp
from labctl.estimate.llama_cpp.estimate import least_bytes
from labctl.estimate.speed import CardShare, HostShare, Speed, active_bytes, speed
from labctl.models.model import Model

if TYPE_CHECKING:
    from labctl.estimate.ollama import Settings


@dataclass(frozen=True)
class Language:
    """A language model. model_of: the model in a format of `quants`."""

    name: str
    engine: Engine
    quants: tuple[str, ...]
    model_of: Callable[[str], Model]
    _known: dict[tuple[str, Request], Estimate] = field(default_factory=dict, compare=False, repr=False)

    @property
    def context_train(self) -> int:
        """As the header says."""
        return self.model_of(self.quants[0]).context_train

    @property
    def parameters(self) -> int:
        """All that an engine loads."""
        return self.model_of(self.quants[0]).parameters.total

    @property
    def layers(self) -> tuple[int, bool]:
        """How many are loaded, and whether any has experts."""
        model = self.model_of(self.quants[0])
        return model.n_layers, any(layer.experts for layer in model.layers)

    def estimate(self, quant: str, request: Request) -> Estimate:
        """By the engine's own rules."""
        # llama.cpp takes the same on any card; asked for several, it is worked out once.
        alike = replace(request, card_memory_bytes=()) if self.engine == "llama.cpp" else request
        if (quant, alike) not in self._known:
            self._known[quant, alike] = self._estimate(quant, alike)
        return self._known[quant, alike]

    def least_bytes(self, quant: str, request: Request) -> int:
        """What no estimate is below, over all cards; 0 where only an estimate can say."""
        return least_bytes(self.model_of(quant), request) if self.engine == "llama.cpp" else 0

    def _estimate(self, quant: str, request: Request) -> Estimate:
        model = self.model_of(quant)
        # Only the engine asked for is loaded: `labctl fit` is to answer at once.
        match self.engine:
            case "vllm":
                from labctl.estimate import vllm

                return vllm.estimate(model, request)
            case "transformers":
                from labctl.estimate import transformers

                return transformers.estimate(model, request)
            case "ollama":
                from labctl.estimate import ollama

                settings = _ollama_settings(request)
                return ollama.estimate(model, settings, request.card_memory_bytes, mmproj=request.mmproj)
            case "llama.cpp":
                return estimate_llama_cpp(model, request)
        raise BadInput(
            "this engine runs no language models",
            where="--engine",
            found=self.engine,
            expected="llama.cpp, ollama, vllm or transformers",
        )

    def speed(
        self, quant: str, estimate: Estimate, runners: tuple[Runner, ...], processor: Processor
    ) -> Speed | None:
        """Of one request: slow with a full context, fast with an empty one. None for what makes no tokens."""
        model = self.model_of(quant)
        if model.kind in ("embedding", "reranker"):
            return None
        used = [
            (card, runner)
            for card, runner in zip(estimate.cards, runners, strict=False)
            if card.of("weights")
        ]
        on_host = _read_on_host(model, estimate)
        if not model.layers or not (used or on_host) or (on_host and processor.bandwidth_gbs is None):
            return None
        host = HostShare(on_host, processor.bandwidth_gbs or 0.0, processor.sockets) if on_host else None
        on_cards = max(0, active_bytes(model) - on_host)
        held = sum(card.of("weights") for card, _ in used) or 1

        def filled(part: float) -> Speed | None:
            shares = tuple(
                CardShare(
                    runner.gpu,
                    on_cards * card.of("weights") // held,
                    int(part * card.of("kv_cache") / estimate.request.parallel),
                    runner.power_limit_watts,
                )
                for card, runner in used
            )
            return speed(model, shares, host, tensor_parallel=estimate.request.tensor_parallel > 1)

        full, half, empty = filled(1.0), filled(0.5), filled(0.0)
        if full is None or half is None or empty is None:
            return None
        decode = replace(half.decode, low=full.decode.low, high=empty.decode.high)
        return replace(half, decode=decode)


def _read_on_host(model: Model, estimate: Estimate) -> int:
    """Bytes of weights that the processor reads per token: none of the embedding but a row, of experts those in use."""
    request = estimate.request
    if request.n_cpu_moe == 0 and request.n_gpu_layers >= ALL_LAYERS:
        return 0
    counted = model.parameters
    embedding = model.file_bytes * counted.embedding // max(1, counted.total)
    held = max(0, estimate.host.of("weights") - embedding)
    routed = [layer.experts for layer in model.layers if layer.experts and layer.loaded]
    if request.n_cpu_moe and routed:
        return held * sum(each.used for each in routed) // sum(each.count for each in routed)
    return int(held * active_bytes(model) / max(1, model.file_bytes))


def _ollama_settings(request: Request) -> "Settings":
    from labctl.estimate.ollama import Settings

    return Settings(
        context=request.context or None,
        parallel=request.parallel,
        kv_type=request.kv_type_k,
        flash_attention=request.flash_attention,
    )
