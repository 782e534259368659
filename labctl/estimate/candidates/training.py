"""Fine-tuning of a language model."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from labctl.estimate.claim import Engine, Estimate, Request
from labctl.estimate.training import estimate as estimate_training
from labctl.estimate.training_request import TrainingRequest
from labctl.models.model import Model


@dataclass(frozen=True)
class Training:
    """Fine-tuning. The request's context is the sequence's length and `parallel` the sequences per card and step."""

    name: str
    quants: tuple[str, ...]
    model_of: Callable[[str], Model]
    request: TrainingRequest
    engine: Engine = "training"
    layers: tuple[int, bool] = (0, False)

    @property
    def context_train(self) -> int:
        """As the header says."""
        return self.model_of(self.quants[0]).context_train

    @property
    def parameters(self) -> int:
        """All of the model's, trained or not."""
        return self.model_of(self.quants[0]).parameters.total

    def estimate(self, quant: str, request: Request) -> Estimate:
        """At the peak of a step."""
        # Several cards share everything, as FSDP and ZeRO stage 3 do; a copy on each would not make anything fit.
        sharded = self.request.zero_stage or (3 if request.n_gpus > 1 else 0)
        asked = replace(
            self.request,
            batch=request.parallel,
            sequence=request.context,
            n_gpus=request.n_gpus,
            zero_stage=sharded,
        )
        return estimate_training(self.model_of(quant), asked)

    def speed(self, *_: object) -> None:
        """None: nobody has published enough to say."""
