"""A candidate on one kind of card, corrected by what was measured there."""

from dataclasses import dataclass, replace

from labctl.errors import BadInput
from labctl.estimate.calibration import Measurement, corrected, corrected_speed, nearest
from labctl.estimate.candidates.candidate import Candidate, Processor, Runner
from labctl.estimate.claim import Engine, Estimate, Request
from labctl.estimate.speed import Speed


@dataclass(frozen=True)
class Measured:
    """`of`, with estimates near a measurement corrected by it. card: a catalogue name."""

    of: Candidate
    card: str
    measurements: tuple[Measurement, ...]

    @property
    def name(self) -> str:
        """The candidate's."""
        return self.of.name

    @property
    def engine(self) -> Engine:
        """The candidate's."""
        return self.of.engine

    @property
    def quants(self) -> tuple[str, ...]:
        """The candidate's."""
        return self.of.quants

    @property
    def context_train(self) -> int:
        """The candidate's."""
        return self.of.context_train

    @property
    def parameters(self) -> int:
        """The candidate's."""
        return self.of.parameters

    @property
    def layers(self) -> tuple[int, bool]:
        """The candidate's."""
        return self.of.layers

    def estimate(self, quant: str, request: Request) -> Estimate:
        """Memory, with what the nearest measurement of the same run differed by."""
        found = self.of.estimate(quant, request)
        measured = nearest(self.measurements, found, quant, self.card)
        if measured is None or _is_unusual(request):
            return found
        try:
            there = self.of.estimate(quant, replace(request, context=measured.context))
        except BadInput:
            return found
        return corrected(found, measured, there)

    def speed(
        self, quant: str, estimate: Estimate, runners: tuple[Runner, ...], processor: Processor
    ) -> Speed | None:
        """Tokens a second, with the measured ones in the middle. Those were taken at the card's default power limit."""
        found = self.of.speed(quant, estimate, runners, processor)
        measured = nearest(self.measurements, estimate, quant, self.card, total=False)
        if found is None or measured is None or _is_unusual(estimate.request):
            return found
        return corrected_speed(found, measured) if all(map(_at_full_power, runners)) else found


def _is_unusual(request: Request) -> bool:
    """A measurement says nothing about where layers went and what else was loaded: it is of the plain run."""
    plain = Request(request.engine, request.context)
    return any(
        getattr(request, name) != getattr(plain, name)
        for name in ("n_gpu_layers", "n_cpu_moe", "batch", "ubatch", "draft", "flash_attention")
    )


def _at_full_power(runner: Runner) -> bool:
    limit, usual = runner.power_limit_watts, runner.gpu.tdp_watts
    return limit is None or usual is None or limit >= usual
