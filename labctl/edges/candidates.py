"""What a person means by MODEL: an entry of the catalogue, a file, a directory, or a repository on the hub."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.candidates.language import Language
from labctl.estimate.claim import Engine
from labctl.models.model import Model

if TYPE_CHECKING:
    from labctl.models.quantization import Quantization

Value = TypeVar("Value")
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


def find(wanted: Wanted) -> Found:
    """The model that was named, as the engine asked for runs it, or as the usual one for its kind does.

    Raises BadInput for a name that is nowhere, with the nearest ones, and for an engine that cannot run it.
    """
    name = wanted.name
    if not name.strip():
        raise BadInput("no model is named", where="MODEL", expected=EXPECTED)
    if _on_disk(name):
        return _from_reader(wanted)
    if (model := _or_none(catalog.model_record, name)) is not None:
        candidate = _language(wanted, model.name)
        return Found(candidate, f"catalogue: {model.title}", _beside(candidate, model.name))
    if (picture := _or_none(catalog.diffusion_model, name)) is not None:
        return Found(_image(wanted, picture.name), f"catalogue: {picture.title}")
    if (speech := _or_none(catalog.whisper_model, name)) is not None:
        return Found(_speech(wanted, speech.name), f"catalogue: {speech.title}")
    if "/" in name or ":" in name:
        return _from_reader(wanted)
    raise unknown(name)


def _beside(candidate: Candidate, name: str) -> tuple[Model, ...]:
    """The vision part of a catalogue model, which lies in a file of its own beside a GGUF."""
    from labctl.models.catalogue import vision_part

    part = vision_part(catalog.model_record(name)) if candidate.engine in OF_GGUF else None
    return () if part is None else (part,)


def unknown(name: str) -> BadInput:
    """Nothing has this name: say what comes near, and what else may be given."""
    known = (*catalog.model_names(), *catalog.diffusion_names(), *catalog.whisper_names())
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return BadInput(
        "no model of that name in the catalogue, and no such file",
        where="MODEL",
        found=name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}…",
        expected=EXPECTED,
        hint=f"{hint}`labctl fit` without a model lists what fits",
    )


def _on_disk(name: str) -> bool:
    if name.startswith(("/", "./", "../", "~")) or name.endswith(".gguf"):
        return True
    try:
        return Path(name).exists()
    except OSError:  # longer than a path can be
        return False


def _or_none(look_up: Callable[[str], Value], name: str) -> Value | None:
    try:
        return look_up(name)
    except BadInput:
        return None


def _engine(wanted: Wanted, default: Engine, able: tuple[Engine, ...]) -> Engine:
    engine = wanted.engine or default
    if engine not in able:
        raise BadInput(
            f"{engine} does not run {wanted.name}",
            where="--engine",
            found=engine,
            expected=" or ".join(able),
        )
    return engine


def _language(wanted: Wanted, name: str) -> Candidate:
    """From the catalogue, in the formats its engine reads."""

    @cache
    def model_of(quant: str) -> Model:
        return catalog.model(name, quant)

    if wanted.method is not None:
        for quant in wanted.quants:
            if _quantization(quant).container != "safetensors":
                raise _no_training("--quant", quant)
        return _training(wanted, name, model_of)
    asked = [_quantization(quant) for quant in wanted.quants]
    default: Engine = "vllm" if asked and asked[0].container == "safetensors" else "llama.cpp"
    engine = _engine(wanted, default, OF_TEXT)
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


def _training(wanted: Wanted, name: str, model_of: Callable[[str], Model]) -> Candidate:
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


def _no_training(where: str, found: str) -> BadInput:
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


def _image(wanted: Wanted, name: str) -> Candidate:
    from labctl.estimate.candidates.image import Image
    from labctl.estimate.diffusion import DiffusionRequest

    model = catalog.diffusion_model(name)
    _refuse_training(wanted)
    engine = _engine(wanted, "comfyui", ("comfyui", "diffusers"))
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


def _speech(wanted: Wanted, name: str) -> Candidate:
    from labctl.estimate.candidates.speech import Speech

    _refuse_training(wanted)
    _engine(wanted, "whisper", ("whisper",))
    quants = wanted.quants or SPEECH_QUANTS
    _check_formats("faster-whisper", [_quantization(quant).name for quant in quants], OF_SPEECH)
    return Speech(name, quants, catalog.whisper_model(name), catalog.quantization)


def _from_reader(wanted: Wanted) -> Found:
    """A file, directory or repository has the format it has."""
    from labctl.edges.model_reader import read_model

    if len(wanted.quants) > 1:
        raise BadInput("a file comes in one format", where="--quant", found=", ".join(wanted.quants))
    name = wanted.name
    if wanted.quants and not _on_disk(name) and ":" not in name:
        name = f"{name}:{wanted.quants[0]}"
    try:
        read = read_model(name)
    except (OSError, RuntimeError) as error:  # ~nobody/x, and paths longer than a path can be
        raise BadInput("this is no path", where="MODEL", found=name[:LONGEST_SHOWN]) from error
    model = read.model
    if wanted.quants and _on_disk(name) and wanted.quants[0].lower() != model.quant.lower():
        raise BadInput(
            "this file comes in another format", where="--quant", found=wanted.quants[0], expected=model.quant
        )

    def model_of(_: str) -> Model:
        return model

    if model.kind in ("diffusion", "whisper", "mmproj"):
        return _of_another_kind(wanted, model, read.where)
    quants = (model.quant,)
    gguf = any(tensor.name.startswith("blk.") for tensor in model.tensors)
    if wanted.method is not None:
        if gguf:
            raise _no_training("MODEL", wanted.name)
        return Found(_training_of_a_file(wanted, model), read.where)
    engine = _engine(wanted, "llama.cpp" if gguf else "vllm", OF_GGUF if gguf else ("vllm", "transformers"))
    notes = []
    if read.chosen:
        others = ", ".join(f"{quant} {size / 1e9:.1f} GB" for quant, size in read.choices.items())
        notes.append(f"taken: {model.quant}. There are {others}; choose with --quant")
    companions = read.companions if engine in OF_GGUF else ()
    candidate = Language(model.name, engine, quants, model_of)
    return Found(candidate, read.where, companions, tuple(notes), carried=False)


def _training_of_a_file(wanted: Wanted, model: Model) -> Candidate:
    """QLoRA turns 16-bit weights into four bits as it loads them; the others take them as they are."""
    known = [each.name for each in catalog.quantizations()]
    quant = (
        catalog.quantization(model.quant).name if _or_none(catalog.quantization, model.quant) else model.quant
    )
    if wanted.method == "qlora" and quant in TRAINED_FROM["full"]:
        four = catalog.quantization("nf4")
        model = replace(model, quant=four.name, file_bytes=four.file_bytes(model.parameters))
        quant = four.name
    if quant not in known:
        raise BadInput(
            "training does not start from this format",
            where=model.name,
            found=quant,
            expected="16-bit weights",
        )

    def model_of(_: str) -> Model:
        return model

    return _training(replace(wanted, quants=(quant,)), model.name, model_of)


def _of_another_kind(wanted: Wanted, model: Model, where: str) -> Found:
    """Images, video or speech: the catalogue's model of that size, in the format that was found.

    Their headers do not say what denoising takes; the catalogue does. Raises BadInput where it has none of that size.
    """
    count = model.parameters.total if model.kind == "whisper" else model.parameters.layers
    pictures = ((name, catalog.diffusion_model(name).backbone) for name in catalog.diffusion_names())
    sizes = {name: backbone.experts * backbone.parameters for name, backbone in pictures}
    if model.kind == "whisper":
        sizes = {name: catalog.whisper_model(name).parameters for name in catalog.whisper_names()}
    near = {name: abs(size - count) for name, size in sizes.items() if abs(size - count) <= SAME_SIZE * size}
    if model.kind == "mmproj" or not near:
        raise BadInput(
            "a vision part is loaded beside a model"
            if model.kind == "mmproj"
            else "no known model of this size",
            where=where,
            found=f"{model.architecture}, {count / 1e9:.2f} billion parameters",
            expected="a language model" if model.kind == "mmproj" else f"one of {', '.join(sizes)}",
            hint="give it with --mmproj" if model.kind == "mmproj" else "name the one that it was made from",
        )
    alike = min(near, key=lambda name: near[name])
    quants = wanted.quants or (_format_of(model),)
    named = replace(wanted, name=alike, quants=quants)
    candidate = _speech(named, alike) if model.kind == "whisper" else _image(named, alike)
    return Found(candidate, where, notes=(f"taken for {alike}, which has its number of parameters",))


def _format_of(model: Model) -> str:
    """The catalogue's name of a header's type; 16 bits where it is none of them."""
    try:
        return catalog.quantization(model.quant).name
    except BadInput:
        return "bf16"
