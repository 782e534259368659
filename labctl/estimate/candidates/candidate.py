"""What is asked of every candidate: memory and speed of one way to run it.

A way is a format (`quant`) and a `Request` that says how, and on how many cards.
"""

from dataclasses import dataclass
from typing import Protocol

from labctl.estimate.claim import Engine, Estimate, Request
from labctl.estimate.speed import Speed
from labctl.rig.gpu import Gpu


@dataclass(frozen=True)
class Runner:
    """A card that a run may use. memory_bytes: as CUDA sees it."""

    gpu: Gpu
    memory_bytes: int
    power_limit_watts: int | None = None


@dataclass(frozen=True)
class Processor:
    """What a host computes with. bandwidth_gbs: of its memory, all sockets together; None when unknown."""

    bandwidth_gbs: float | None
    sockets: int = 1


class Candidate(Protocol):
    """A model as one engine runs it. quants: best first. context_train: tokens, 0 where there is no context."""

    @property
    def name(self) -> str: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def quants(self) -> tuple[str, ...]: ...

    @property
    def context_train(self) -> int: ...

    @property
    def parameters(self) -> int: ...

    @property
    def layers(self) -> tuple[int, bool]:
        """How many, and whether there are experts in them; (0, False) where they cannot be moved one by one."""
        ...

    def estimate(self, quant: str, request: Request) -> Estimate:
        """Memory by card and on the host. Raises BadInput where the engine would refuse."""
        ...

    def speed(
        self, quant: str, estimate: Estimate, runners: tuple[Runner, ...], processor: Processor
    ) -> Speed | None:
        """Tokens a second of one request; None where nobody can say."""
        ...
