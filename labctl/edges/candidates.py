"""What a person means by MODEL: an entry of the catalogue, a file, a directory, or a repository on the hub."""

from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from labctl.edges import catalog
from labctl.edges.candidate_kinds import (
    EXPECTED,
    GGUF_QUANTS,
    LONGEST_SHOWN,
    NO_LONGER_RUN,
    OF_GGUF,
    SAME_SIZE,
    TRAINED_FROM,
    VLLM_QUANTS,
    Found,
    Wanted,
    engine_of,
    image,
    language,
    no_training,
    speech,
    training,
)
from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.candidates.language import Language
from labctl.models.model import Model

__all__ = ["GGUF_QUANTS", "VLLM_QUANTS", "Found", "Wanted", "find", "unknown"]

Value = TypeVar("Value")


def find(wanted: Wanted) -> Found:
    """The model that was named, as the engine asked for runs it, or as the usual one for its kind does.

    Raises BadInput for a name that is nowhere, with the nearest ones, and for an engine that cannot run it.
    """
    name = wanted.name
    if not name.strip():
        raise BadInput("no model is named", where="MODEL", expected=EXPECTED)
    if _on_disk(name):
        return _from_reader(wanted)
    # Aliases stand in the files: without a kind, every file may have to be read.
    kind = catalog.kind(name)
    if kind in (None, "language") and (model := _or_none(catalog.model_record, name)) is not None:
        candidate = language(wanted, model.name)
        gone = candidate.engine in OF_GGUF and model.architecture in NO_LONGER_RUN
        notes = (NO_LONGER_RUN[model.architecture or ""],) if gone else ()
        return Found(candidate, f"catalogue: {model.title}", _beside(candidate, model.name), notes)
    if kind in (None, "image") and (picture := _or_none(catalog.diffusion_model, name)) is not None:
        return Found(image(wanted, picture.name), f"catalogue: {picture.title}")
    if kind in (None, "speech") and (heard := _or_none(catalog.whisper_model, name)) is not None:
        return Found(speech(wanted, heard.name), f"catalogue: {heard.title}")
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
            raise no_training("MODEL", wanted.name)
        return Found(_training_of_a_file(wanted, model), read.where)
    engine = engine_of(wanted, "llama.cpp" if gguf else "vllm", OF_GGUF if gguf else ("vllm", "transformers"))
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

    return training(replace(wanted, quants=(quant,)), model.name, model_of)


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
    candidate = speech(named, alike) if model.kind == "whisper" else image(named, alike)
    return Found(candidate, where, notes=(f"taken for {alike}, which has its number of parameters",))


def _format_of(model: Model) -> str:
    """The catalogue's name of a header's type; 16 bits where it is none of them."""
    try:
        return catalog.quantization(model.quant).name
    except BadInput:
        return "bf16"
