"""Models that make images and video: a backbone that denoises, text encoders, and a VAE that decodes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from labctl.yaml_document import read

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class Backbone(BaseModel):
    """The U-Net or transformer. experts: so many of this size, one of them in use at a time (Wan 2.2).

    pixels_per_token: of the image, so VAE stride and patch, squared. frames_per_latent: frames behind the first that
    share one latent frame.
    """

    model_config = _STRICT
    parameters: int = Field(gt=0)
    experts: int = Field(ge=1)
    hidden: int = Field(gt=0)
    pixels_per_token: int = Field(gt=0)
    frames_per_latent: int = Field(ge=1)
    source: str


class Encoder(BaseModel):
    """A text encoder. fp32_parameters: so many of them stay in FP32 when the rest runs in FP16 (T5's `wo`).

    embedding_parameters: so many stay in 16 bits when linear layers are quantized (vocabulary × width).
    """

    model_config = _STRICT
    name: str
    parameters: int = Field(gt=0)
    fp32_parameters: int = Field(ge=0)
    embedding_parameters: int = Field(ge=0)
    source: str


class Vae(BaseModel):
    """The decoder from latents to pixels. parameters: null where no source gave them; then they are not counted."""

    model_config = _STRICT
    parameters: int | None
    fp32: bool
    source: str


class VaeDecode(BaseModel):
    """What decoding takes, measured: bytes per output pixel and frame, untiled."""

    model_config = _STRICT
    bytes_per_pixel: float = Field(gt=0)
    source: str


class ComputeBuffers(BaseModel):
    """stable-diffusion.cpp's compute buffer, MiB by width times height, as it logs them."""

    model_config = _STRICT
    source: str
    mib_by_pixels: dict[int, float] = Field(min_length=3)

    def mib(self, pixels: int) -> float:
        """MiB at a size: exact where it was measured, else by the parabola through the three nearest sizes."""
        nearest = sorted(self.mib_by_pixels, key=lambda known: abs(known - pixels))[:3]
        total = 0.0
        for one in nearest:
            weight = 1.0
            for other in nearest:
                if other != one:
                    weight *= (pixels - other) / (one - other)
            total += weight * self.mib_by_pixels[one]
        return total


class DiffusionModel(BaseModel):
    """One model of the catalogue. compute_plain, compute_flash: without and with flash attention."""

    model_config = _STRICT
    name: str = Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")
    title: str
    aliases: list[str]
    kind: Literal["image", "video"]
    backbone: Backbone
    encoders: list[Encoder]
    vae: Vae
    vae_decode: VaeDecode | None
    compute_plain: ComputeBuffers | None
    compute_flash: ComputeBuffers | None

    def tokens(self, width: int, height: int, frames: int) -> int:
        """What the backbone attends over. Frames beyond the first come `frames_per_latent` to one."""
        latent_frames = (frames - 1) // self.backbone.frames_per_latent + 1
        return width * height // self.backbone.pixels_per_token * latent_frames


def parse(text: str, where: str) -> DiffusionModel:
    """The model in a catalogue file. Raises BadInput with file, line and key."""
    return read(text, where, DiffusionModel)
