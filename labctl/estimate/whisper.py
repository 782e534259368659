"""Speech to text: faster-whisper and openai-whisper. Weights, the caches of the beams, and one window of audio."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.context import context_term
from labctl.models.quantization import Quantization
from labctl.yaml_document import read

BEAMS = 5
CACHE_SOURCE = (
    "openai-whisper decoding: self-attention over n_text_ctx and cross-attention over n_audio_ctx per beam"
)
WORK_SOURCE = (
    "openai-whisper README, required VRAM (1 GB tiny and base, 2 small, 5 medium, 10 large in FP32 and FP16 together): "
    "the high end; CTranslate2 holds weights, caches and about as much again as one window's activations"
)


class WhisperModel(BaseModel):
    """One model of the catalogue. openai_vram_gb: what the README says its own engine needs."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    name: str
    title: str
    aliases: list[str]
    parameters: int = Field(gt=0)
    hidden: int = Field(gt=0)
    decoder_layers: int = Field(gt=0)
    audio_context: int = Field(gt=0)
    text_context: int = Field(gt=0)
    openai_vram_gb: int = Field(gt=0)
    sources: list[str]


def parse(text: str, where: str) -> WhisperModel:
    """The model in a catalogue file. Raises BadInput with file, line and key."""
    return read(text, where, WhisperModel)


def estimate(
    model: WhisperModel,
    quantization: Quantization,
    *,
    batch: int = 1,
    engine: Literal["faster-whisper", "openai-whisper"] = "faster-whisper",
) -> Estimate:
    """One process on one card. batch: windows of 30 seconds at once.

    openai-whisper loads FP32 weights and casts them, so its high end is what its README asks for.
    """
    n_bytes = quantization.linear_bytes(model.parameters)
    weights = exact(
        "weights", "weights", n_bytes, f"{model.parameters} × {quantization.bits_per_weight} bit", "catalogue"
    )
    positions = model.text_context + model.audio_context
    cache = 2 * 2 * model.decoder_layers * model.hidden * positions * BEAMS * batch
    formula = (
        f"2 × 2 B × {model.decoder_layers} layers × {model.hidden} × {positions} × {BEAMS} beams × {batch}"
    )
    kv = exact("kv_cache", "decoder caches", cache, formula, CACHE_SOURCE)
    # One layer of the encoder at a time: attention and feed-forward of 1500 positions, in FP32 where it matters.
    window = 34 * 2 * model.audio_context * model.hidden * batch
    high = 4 * window
    if engine == "openai-whisper":
        high = max(high, model.openai_vram_gb * 1000**3 - n_bytes - cache)
    work = Term(
        "compute",
        "audio window",
        window // 2,
        window,
        high,
        f"68 B × {batch} × 1500 × {model.hidden}",
        WORK_SOURCE,
    )
    scratch = Term(
        "scratch", "workspaces", 32 * MIB, 128 * MIB, 400 * MIB, "cuDNN and cuBLAS workspaces", WORK_SOURCE
    )
    return Estimate(
        model=model.name,
        request=Request(engine="whisper", context=model.text_context, parallel=batch),
        cards=(PlaceEstimate("0", (weights, kv, work, scratch, context_term())),),
        host=PlaceEstimate("host", ()),
        confidence="medium",
    )
