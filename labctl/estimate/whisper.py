"""Speech to text: faster-whisper and openai-whisper. Weights, the caches of the beams, and one window of audio."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term, exact
from labctl.estimate.context import context_term
from labctl.models.quantization import Quantization
from labctl.yaml_document import read

BEAMS = 5
# Text in a window of 30 seconds: some, of ordinary speech, and the most that decoding goes on for (half the context).
WINDOW_TOKENS = (32, 100, 224)
OPENAI_CACHE_SOURCE = (
    "openai-whisper decoding: self-attention over n_text_ctx and cross-attention over n_audio_ctx per beam"
)
CACHE_SOURCE = (
    "CTranslate2 TransformerDecoder::replicate_state: keys and values of the audio once per window, not per beam; "
    "those of the text grow with it, https://github.com/OpenNMT/CTranslate2/blob/master/src/layers/transformer.cc"
)
WORK_SOURCE = (
    "openai-whisper README, required VRAM (1 GB tiny and base, 2 small, 5 medium, 10 large in FP32 and FP16 together): "
    "the high end; workspaces of CTranslate2: faster-whisper v1.1.0 README, large-v2 on an RTX 3070 Ti, 4525 MB in "
    "FP16 and 2926 MB in INT8, 6090 and 4500 MB with 8 windows at once"
)
HOST_SOURCE = (
    "CTranslate2 Model::load: all variables of model.bin in host memory, converted there, then moved to the card: "
    "https://github.com/OpenNMT/CTranslate2/blob/master/src/models/model.cc; model.bin of "
    "https://huggingface.co/Systran/faster-whisper-large-v3 has 2 bytes per parameter, as the others have"
)
FILE_BYTES_PER_PARAMETER = 2


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
    """One process on one card. batch: windows of 30 seconds at once (BatchedInferencePipeline).

    openai-whisper loads FP32 weights and casts them, so its high end is what its README asks for.
    """
    n_bytes = quantization.linear_bytes(model.parameters)
    weights = exact(
        "weights", "weights", n_bytes, f"{model.parameters} × {quantization.bits_per_weight} bit", "catalogue"
    )
    kv = _cache_term(model, batch) if engine == "faster-whisper" else _openai_cache_term(model, batch)
    # One layer of the encoder at a time: scores of 1500 × 1500 per head of 64, before and after softmax, then the rest.
    per_position = 4 * model.audio_context // 64 + 16
    window = per_position * model.audio_context * model.hidden
    # The encoder is done before the decoder's caches are made, so they take over what its batch left free.
    encoder = max(window, batch * window - kv.expected)
    high = max(2 * window, 2 * batch * window - kv.low)
    if engine == "openai-whisper":
        high = max(high, model.openai_vram_gb * 1000**3 - n_bytes - kv.high)
    work = Term(
        "compute",
        "audio window",
        window // 2,
        encoder,
        high,
        f"{per_position} B × {model.audio_context} × {model.hidden}, × {batch} less the caches that follow",
        WORK_SOURCE,
    )
    scratch = Term(
        "scratch", "workspaces", 100 * MIB, 350 * MIB, 600 * MIB, "cuDNN and cuBLAS workspaces", WORK_SOURCE
    )
    return Estimate(
        model=model.name,
        request=Request(engine="whisper", context=model.text_context, parallel=batch),
        cards=(PlaceEstimate("0", (weights, kv, work, scratch, context_term())),),
        host=PlaceEstimate("host", () if engine == "openai-whisper" else (_host_term(model, n_bytes),)),
        confidence="medium",
    )


def _host_term(model: WhisperModel, weights: int) -> Term:
    """What CTranslate2 reads before anything is on the card, FP16 whatever it makes of it; given back after that."""
    n_bytes = max(FILE_BYTES_PER_PARAMETER * model.parameters, weights)
    formula = f"{model.parameters} × {FILE_BYTES_PER_PARAMETER} B of the file, or {weights} B as converted"
    return Term("scratch", "weights on their way", 0, n_bytes, n_bytes, formula, HOST_SOURCE)


def _token_bytes(model: WhisperModel) -> int:
    """Keys and values of one position in all decoder layers, in 16 bits whatever the weights are in."""
    return 2 * 2 * model.decoder_layers * model.hidden


def _cache_term(model: WhisperModel, batch: int) -> Term:
    """CTranslate2's: one window alone also gets the text before it as a prompt, several at once do not."""
    per_token = _token_bytes(model)
    audio = per_token * model.audio_context * batch
    alone = model.text_context if batch == 1 else 0
    low, expected, high = (
        audio + per_token * BEAMS * max(each, tokens * batch)
        for each, tokens in zip((0, alone, alone), WINDOW_TOKENS, strict=True)
    )
    text = max(alone, WINDOW_TOKENS[1] * batch)
    formula = f"{per_token} B × ({batch} × {model.audio_context} of audio + {BEAMS} beams × {text} of text)"
    return Term("kv_cache", "decoder caches", low, expected, high, formula, CACHE_SOURCE)


def _openai_cache_term(model: WhisperModel, batch: int) -> Term:
    positions = model.text_context + model.audio_context
    n_bytes = _token_bytes(model) * positions * BEAMS * batch
    formula = f"{_token_bytes(model)} B × {positions} × {BEAMS} beams × {batch}"
    return exact("kv_cache", "decoder caches", n_bytes, formula, OPENAI_CACHE_SOURCE)
