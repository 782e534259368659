"""A model for images or video."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from labctl.estimate.claim import Engine, Estimate, Request
from labctl.estimate.diffusion import DiffusionRequest
from labctl.estimate.diffusion import estimate as estimate_diffusion
from labctl.models.diffusion import DiffusionModel
from labctl.models.quantization import Quantization


@dataclass(frozen=True)
class Image:
    """Images and video. of: the format of a name."""

    name: str
    quants: tuple[str, ...]
    model: DiffusionModel
    request: DiffusionRequest
    of: Callable[[str], Quantization]
    context_train: int = 0
    layers: tuple[int, bool] = (0, False)

    @property
    def engine(self) -> Engine:
        """As the request says."""
        return "comfyui" if self.request.engine == "comfyui" else "diffusers"

    @property
    def parameters(self) -> int:
        """Of the backbone, every expert counted."""
        return self.model.backbone.experts * self.model.backbone.parameters

    def estimate(self, quant: str, request: Request) -> Estimate:
        """While it denoises or decodes, whichever takes more."""
        backbone = self.of(quant)
        # Who quantizes the backbone takes the text encoders in 8 bits too: T5 in 16 bits is as large as Flux in 8.
        encoder = self.request.encoder if backbone.bits_per_weight >= 16 else self.of("fp8")
        asked = replace(self.request, backbone=backbone, encoder=encoder, batch=request.parallel)
        return estimate_diffusion(self.model, asked)

    def speed(self, *_: object) -> None:
        """None: tokens a second mean nothing here."""
