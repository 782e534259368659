"""Simulated candidates and rigs: memory along a straight line, so that a test can say what must come out."""

from dataclasses import dataclass
from types import MappingProxyType

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Processor, Runner
from labctl.estimate.claim import MIB, Engine, Estimate, PlaceEstimate, Request, exact
from labctl.estimate.speed import Speed
from labctl.place.group import Group, groups
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig

BITS = MappingProxyType({"F16": 16.0, "Q8_0": 8.5, "Q4_K_M": 4.9, "Q2_K": 3.0})


@dataclass(frozen=True)
class Straight:
    """Simulated. weights_mib: at 16 bits; token_bytes, step_bytes: of cache, per token and per started 4096 of them."""

    weights_mib: int
    token_bytes: int
    step_bytes: int = 0
    name: str = "straight"
    engine: Engine = "llama.cpp"
    quants: tuple[str, ...] = tuple(BITS)
    context_train: int = 131072
    parameters: int = 8_000_000_000
    layers: tuple[int, bool] = (32, False)
    refused_from: int | None = None
    host_mib: int = 0

    def estimate(self, quant: str, request: Request) -> Estimate:
        if self.refused_from is not None and request.context >= self.refused_from:
            raise BadInput("simulated: too long")
        n_layers, _ = self.layers
        weights = int(self.weights_mib * MIB * BITS[quant] / 16)
        on_host = weights * max(0, n_layers + 1 - request.n_gpu_layers) // (n_layers + 1)
        on_host = max(on_host, weights * request.n_cpu_moe * 8 // (n_layers * 10) if n_layers else 0)
        cache = request.parallel * (
            self.token_bytes * request.context + self.step_bytes * -(-request.context // 4096)
        )
        shares = request.tensor_split or (1.0,) * request.n_gpus
        cards = tuple(
            PlaceEstimate(
                str(index),
                (
                    exact("weights", "weights", int((weights - on_host) * share / sum(shares)), "", ""),
                    exact("kv_cache", "cache", int(cache * share / sum(shares)), "", ""),
                ),
            )
            for index, share in enumerate(shares)
        )
        host = PlaceEstimate(
            "host",
            (
                exact("weights", "weights", on_host, "", ""),
                exact("prompt_cache", "prompts", self.host_mib * MIB, "", ""),
            ),
        )
        return Estimate(self.name, request, cards, host, "high")

    def speed(
        self, quant: str, estimate: Estimate, runners: tuple[Runner, ...], processor: Processor
    ) -> Speed | None:
        return None


def bits(quant: str) -> float:
    return BITS[quant]


def card(
    memory_mib: int | None, index: int = 0, gpu: str = "rtx-3090", host: str = "box", reserved_mib: int = 0
) -> Card:
    return Card(f"{host}/{index}", host, index, catalog.gpu(gpu), memory_mib, reserved_mib)


def group(*memory_mib: int, ram_mib: int | None = None, gpu: str = "rtx-3090") -> Group:
    cards = tuple(card(each, index, gpu) for index, each in enumerate(memory_mib))
    return Group(Host("box", cards, ram_mib=ram_mib), cards)


def all_groups(*cards: Card, ram_mib: int | None = None) -> tuple[Group, ...]:
    return groups(Rig("rig", (Host("box", cards, ram_mib=ram_mib),)))


def request(context: int = 8192, parallel: int = 1) -> Request:
    return Request("llama.cpp", context, parallel)


def known_gpus() -> tuple[Gpu, ...]:
    return catalog.gpus()
