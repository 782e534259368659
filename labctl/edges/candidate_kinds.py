"""Candidates of one kind each: text, training, images, speech, in the formats that their engines read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar, get_args

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.candidates.language import Language
from labctl.estimate.claim import Engine
from labctl.models.model import Model

if TYPE_CHECKING:
    from labctl.models.quantization import Quantization

Word = TypeVar("Word", bound=str)
# Formats that a catalogue model is tried in, best first; finer steps exist, these are the ones people download.
GGUF_QUANTS = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q3_K_M", "IQ3_XXS", "Q2_K")
VLLM_QUANTS = ("bf16", "fp8", "awq")
TRANSFORMERS_QUANTS = ("bf16", "int8", "nf4")
IMAGE_QUANTS = ("bf16", "fp8", "Q8_0", "nf4", "Q4_0")
SPEECH_QUANTS = ("fp16", "int8")
# A fine-tune has as many parameters as what it was made from, up to an adapter's.
SAME_SIZE = 0.03
OF_IMAGES = ("bfloat16", "float16", "fp32", "fp8", "int8", "nf4", "nf4-single")
OF_SPEECH = ("float16", "bfloat16", "fp32", "int8")
# What training starts from: full and LoRA from whole numbers, QLoRA from four bits.
TRAINED_FROM = {
    "full": ("bfloat16", "float16", "fp32"),
    "lora": ("bfloat16", "float16", "fp32", "int8", "fp8"),
    "qlora": ("nf4", "nf4-single", "unsloth-4bit"),
}
# Why a GGUF of an architecture may not start: github.com/ggml-org/llama.cpp #14951, github.com/ollama/ollama #16547.
NO_LONGER_RUN = {
    "mllama": "llama.cpp and newer Ollama do not run this architecture; vLLM and older Ollama do"
}
# Published in four bits; other formats of them only take more.
PUBLISHED_IN_MXFP4 = {"gpt-oss"}
EXPECTED = "a catalogue name, a .gguf file, a directory with config.json, or org/name"
LONGEST_SHOWN = 80
OF_GGUF: tuple[Engine, ...] = ("llama.cpp", "ollama")
OF_TEXT: tuple[Engine, ...] = ("llama.cpp", "ollama", "vllm", "transformers")


@dataclass(frozen=True)
class Wanted:
    """What was said about the model. quants: asked for, in order of preference; empty for all that make sense.

    method: full, lora or qlora for training, None for running it. size: width and height of images.
    """

    name: str
    engine: Engine | None = None
    quants: tuple[str, ...] = ()
    method: str | None = None
    rank: int = 16
    optimizer: str = "adamw"
    fused_backward: bool = False
    loss_chunks: int = 1
    size: tuple[int, int] = (1024, 1024)
    frames: int = 1


@dataclass(frozen=True)
class Found:
    """A candidate, and what else is to be said. where: its origin; companions: vision parts loaded with it.

    carried: it is the catalogue's.
    """

    candidate: Candidate
    where: str
    companions: tuple[Model, ...] = ()
    notes: tuple[str, ...] = ()
    carried: bool = True


def engine_of(wanted: Wanted, default: Engine, able: tuple[Engine, ...]) -> Engine:
    engine = wanted.engine or default
    if engine not in able:
        raise BadInput(
            f"{engine} does not run {wanted.name}",
            where="--engine",
            found=engine,
            expected=" or ".join(able),
        )
    return engine


def language(wanted: Wanted, name: str) -> Candidate:
    """From the catalogue, in the formats its engine reads."""

    @cache
    def model_of(quant: str) -> Model:
        return catalog.model(name, quant)

    if wanted.method is not None:
        for quant in wanted.quants:
            if _quantization(quant).container != "safetensors":
                raise no_training("--quant", quant)
        return training(wanted, name, model_of)
    asked = [_quantization(quant) for quant in wanted.quants]
    default: Engine = "vllm" if asked and asked[0].container == "safetensors" else "llama.cpp"
    engine = engine_of(wanted, default, OF_TEXT)
    for quant, known in zip(wanted.quants, asked, strict=True):
        _check_container(engine, quant, known)
    return Language(name, engine, tuple(each.name for each in asked) or _usual(engine, name), model_of)


def _quantization(quant: str) -> "Quantization":
    try:
        return catalog.quantization(quant)
    except BadInput as error:
        known = [each.name for each in catalog.quantizations()]
        near = [each for each in known if each.lower().startswith(quant.lower()[:2])] if quant else []
        raise BadInput(
            "no format of weights has this name",
            where="--quant",
            found=quant,
            expected=", ".join(near or (*GGUF_QUANTS, *VLLM_QUANTS)),
        ) from error


def _check_container(engine: Engine, quant: str, known: "Quantization") -> None:
    wants = "gguf" if engine in OF_GGUF else "safetensors"
    # vLLM reads GGUF files too, slowly and not for every model; nobody should be told that this is a way.
    if known.container != wants:
        raise BadInput(
            f"{engine} reads {wants} files",
            where="--quant",
            found=f"{quant}, which are {known.container} files",
            expected="one of " + ", ".join(GGUF_QUANTS if wants == "gguf" else VLLM_QUANTS),
        )


def _usual(engine: Engine, name: str) -> tuple[str, ...]:
    native = catalog.model_record(name).architecture in PUBLISHED_IN_MXFP4
    if engine in OF_GGUF:
        return ("MXFP4",) if native else GGUF_QUANTS
    if native and engine == "vllm":
        return ("mxfp4-safetensors",)
    return VLLM_QUANTS if engine == "vllm" else TRANSFORMERS_QUANTS


def training(wanted: Wanted, name: str, model_of: Callable[[str], Model]) -> Candidate:
    from labctl.estimate.candidates.training import Training
    from labctl.estimate.training_request import Method, Optimizer, TrainingRequest

    methods: tuple[Method, ...] = get_args(Method)
    optimizers: tuple[Optimizer, ...] = get_args(Optimizer)
    method = _one_of("--train", wanted.method or "", methods)
    optimizer = _one_of("--optimizer", wanted.optimizer, optimizers)
    quants = wanted.quants or (("nf4",) if method == "qlora" else ("bf16",))
    formats = [_quantization(quant).name for quant in quants]
    _check_formats(f"training with {method}", formats, TRAINED_FROM[method])
    fused = wanted.fused_backward and method == "full"
    request = TrainingRequest(
        method,
        1,
        1,
        optimizer=optimizer,
        # The optimizer steps layer by layer in the weights' own 16 bits: there are no FP32 masters beside them.
        precision="bf16" if fused else "mixed",
        fused_backward=fused,
        loss_chunks=wanted.loss_chunks,
        lora_rank=wanted.rank,
    )
    return Training(name, quants, model_of, request)


def no_training(where: str, found: str) -> BadInput:
    return BadInput(
        "training does not start from GGUF files",
        where=where,
        found=found,
        expected=f"weights in {' or '.join(TRANSFORMERS_QUANTS)}",
    )


def _one_of(where: str, found: str, known: tuple[Word, ...]) -> Word:
    for each in known:
        if each == found:
            return each
    raise BadInput("not one of the choices", where=where, found=found, expected=", ".join(known))


def image(wanted: Wanted, name: str) -> Candidate:
    from labctl.estimate.candidates.image import Image
    from labctl.estimate.diffusion import DiffusionRequest

    model = catalog.diffusion_model(name)
    _refuse_training(wanted)
    engine = engine_of(wanted, "comfyui", ("comfyui", "diffusers"))
    width, height = wanted.size
    quants = wanted.quants or IMAGE_QUANTS
    formats = [_quantization(quant) for quant in quants]
    first = formats[0]
    read = [each.name for each in formats if each.container != "gguf"]
    _check_formats(engine, read, OF_IMAGES)
    request = DiffusionRequest(
        "comfyui" if engine == "comfyui" else "diffusers",
        width,
        height,
        first,
        catalog.quantization("fp16"),
        frames=wanted.frames,
    )
    return Image(name, quants, model, request, catalog.quantization)


def _refuse_training(wanted: Wanted) -> None:
    if wanted.method is not None:
        raise BadInput(
            "only language models are fine-tuned here",
            where="--train",
            found=f"{wanted.method} of {wanted.name}",
            hint="leave it out",
        )


def _check_formats(engine: str, formats: Iterable[str], known: tuple[str, ...]) -> None:
    for each in formats:
        if each not in known:
            raise BadInput(
                f"{engine} does not read this format", where="--quant", found=each, expected=", ".join(known)
            )


def speech(wanted: Wanted, name: str) -> Candidate:
    from labctl.estimate.candidates.speech import Speech

    _refuse_training(wanted)
    engine_of(wanted, "whisper", ("whisper",))
    quants = wanted.quants or SPEECH_QUANTS
    _check_formats("faster-whisper", [_quantization(quant).name for quant in quants], OF_SPEECH)
    return Speech(name, quants, catalog.whisper_model(name), catalog.quantization)
