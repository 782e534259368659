"""A model that turns speech into text."""

from collections.abc import Callable
from dataclasses import dataclass

from labctl.estimate.claim import Engine, Estimate, Request
from labctl.estimate.whisper import WhisperModel
from labctl.estimate.whisper import estimate as estimate_whisper
from labctl.models.quantization import Quantization


@dataclass(frozen=True)
class Speech:
    """Speech to text. of: the format of a name."""

    name: str
    quants: tuple[str, ...]
    model: WhisperModel
    of: Callable[[str], Quantization]
    engine: Engine = "whisper"
    context_train: int = 0
    layers: tuple[int, bool] = (0, False)

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.model.parameters

    def estimate(self, quant: str, request: Request) -> Estimate:
        """One process with so many windows of audio at once."""
        return estimate_whisper(self.model, self.of(quant), batch=request.parallel)

    def speed(self, *_: object) -> None:
        """None: tokens a second mean nothing here."""
