"""Reads the catalogue that labctl carries: one YAML file per card and per model, beside the package's code."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from labctl.errors import BadInput
from labctl.models.model import Model
from labctl.rig import carried
from labctl.rig.gpu import Gpu, plain_name
from labctl.rig.power_curve import PowerCurve, Published, curve_of, from_values
from labctl.rig.visible_memory import VisibleMemory, lower_bound
from labctl.rig.visible_memory import visible_memory as measured_or_bounded

if TYPE_CHECKING:
    from labctl.estimate.calibration import Measurement
    from labctl.estimate.whisper import WhisperModel
    from labctl.models.catalogue import ModelRecord
    from labctl.models.diffusion import DiffusionModel
    from labctl.models.quantization import Quantization
    from labctl.workloads.service import Service

ROOT = Path(__file__).resolve().parents[1] / "catalog"
LONGEST_NAME = 100
Kind = Literal["language", "image", "speech"]
_FOLDERS: dict[Kind, str] = {"language": "models", "image": "models/diffusion", "speech": "models/whisper"}
_LISTS_MODELS = "`labctl fit` without a model lists what fits"
Value = TypeVar("Value")


def gpu_names() -> tuple[str, ...]:
    """Every card in the catalogue, sorted."""
    return _names("gpus")


@cache
def gpu(name: str) -> Gpu:
    """A card by its catalogue name, an alias, or the name NVML gives it. Raises BadInput for one that is not there.

    `GeForce RTX 3060` is ambiguous to NVML (8 and 12 GB); it finds the catalogue's `rtx-3060`, the common one.
    """
    if _is_carried("gpus", name):
        return _with_bound(name)
    wanted = plain_name(name)
    for card in gpus():
        if wanted in {plain_name(each) for each in (card.name, card.title, *card.aliases)}:
            return card
    raise _unknown("GPU", name, gpu_names(), _like(gpu_names(), "rtx-3090"))


@cache
def gpus() -> tuple[Gpu, ...]:
    """Every card, by name."""
    return tuple(_with_bound(name) for name in gpu_names())


def power_curve(name: str) -> PowerCurve:
    """What power limits cost a card of this name; of one that nobody measured, what they cost others."""
    return curve_of(name, _published_power())


def visible_memory(name: str) -> VisibleMemory:
    """What CUDA shows of a card: measured, else a bound that is never above it. Raises BadInput for an unknown card."""
    return measured_or_bounded(gpu(name), gpus())


def model_names() -> tuple[str, ...]:
    """Every language model in the catalogue, sorted."""
    return _names("models")


@cache
def model_record(name: str) -> "ModelRecord":
    """A language model's record by its name, an alias or its title. Raises BadInput for one that is not there."""
    if _is_carried("models", name):
        return _model_file(name)
    wanted = name.lower()
    for record in model_records():
        if wanted in {each.lower() for each in (record.name, record.title, *record.aliases)}:
            return record
    raise _unknown("model", name, model_names(), _LISTS_MODELS)


@cache
def model_records() -> "tuple[ModelRecord, ...]":
    """Every language model, by name."""
    return tuple(_model_file(name) for name in model_names())


def _model_file(name: str) -> "ModelRecord":
    from labctl.models.catalogue import parse

    return _read("models", name, parse)


@cache
def quantizations() -> "tuple[Quantization, ...]":
    """The formats that weights come in."""
    from labctl.models.quantization import parse

    path = ROOT / "quantizations.yaml"
    return parse(path.read_text(encoding="utf-8"), f"catalog/{path.name}")


def quantization(name: str) -> "Quantization":
    """A format by its name or an alias. Raises BadInput for one that is not there.

    In any case, but as written goes first: `BF16` is a GGUF file, `bf16` are safetensors.
    """
    for each in quantizations():
        if name in (each.name, *each.aliases):
            return each
    for each in quantizations():
        if name.lower() in {each.name.lower(), *(alias.lower() for alias in each.aliases)}:
            return each
    known = tuple(each.name for each in quantizations())
    raise _unknown("quantization", name, known, _like(known, "Q4_K_M"))


@cache
def bits_per_weight(name: str) -> float:
    """Of a format by its name or an alias. Raises BadInput for one that is not there."""
    return quantization(name).bits_per_weight


def model(name: str, quant: str) -> Model:
    """A language model of the catalogue in one quantization. Raises BadInput for an unknown name."""
    from labctl.models.catalogue import build

    return build(model_record(name), quantization(quant))


def kind(name: str) -> Kind | None:
    """Of the model that the catalogue has under exactly this name; None where it has none, though maybe an alias."""
    for found, folder in _FOLDERS.items():
        if _is_carried(folder, name):
            return found
    return None


def diffusion_names() -> tuple[str, ...]:
    """Every model for images and video, sorted."""
    return _names("models/diffusion")


@cache
def diffusion_model(name: str) -> "DiffusionModel":
    """A model for images or video by its name, an alias or its title. Raises BadInput for one that is not there."""
    from labctl.models.diffusion import parse

    if _is_carried("models/diffusion", name):
        return _read("models/diffusion", name, parse)
    wanted = name.lower()
    for each in diffusion_names():
        model = _read("models/diffusion", each, parse)
        if wanted in {known.lower() for known in (model.name, model.title, *model.aliases)}:
            return model
    raise _unknown("image or video model", name, diffusion_names(), _LISTS_MODELS)


def whisper_names() -> tuple[str, ...]:
    """Every speech model, sorted."""
    return _names("models/whisper")


@cache
def whisper_model(name: str) -> "WhisperModel":
    """A speech model by its name or an alias. Raises BadInput for one that is not there."""
    from labctl.estimate.whisper import parse

    if _is_carried("models/whisper", name):
        return _read("models/whisper", name, parse)
    for each in whisper_names():
        model = _read("models/whisper", each, parse)
        if name.lower() in (model.name, *model.aliases):
            return model
    raise _unknown("speech model", name, whisper_names(), _LISTS_MODELS)


def service_names() -> tuple[str, ...]:
    """Every service, sorted."""
    return _names("services")


@cache
def service(name: str) -> "Service | None":
    """A service by its name; None for one that is not there. Raises BadInput where its file calls it otherwise."""
    if not _is_carried("services", name):
        return None
    from labctl.workloads.service_file import parse

    found = _read("services", name, parse)
    if found.name != name:
        raise BadInput(
            "a service is called as its file",
            where=f"catalog/services/{name}.yaml: name",
            found=found.name,
            expected=name,
        )
    return found


def known_service(name: str) -> "Service":
    """A service by its name. Raises BadInput, with its neighbours, for one that is not there."""
    found = service(name)
    if found is None:
        raise _unknown("service", name, service_names(), "`labctl services` lists them")
    return found


def services() -> "tuple[Service, ...]":
    """Every service, by name."""
    return tuple(found for name in service_names() if (found := service(name)) is not None)


@cache
def used_for(use: str) -> tuple[str, ...]:
    """Names of all models for one use, sorted. Uses: those of catalogue_shape.Use, among them image, video, speech."""
    found = [record.name for record in model_records() if use in record.uses]
    found += [name for name in diffusion_names() if diffusion_model(name).kind == use]
    return tuple(sorted((*found, *(whisper_names() if use == "speech" else ()))))


@cache
def measurements() -> "tuple[Measurement, ...]":
    """Every measurement that labctl carries."""
    from labctl.estimate.calibration import parse

    return tuple(each for name in _names("measurements") for each in _read("measurements", name, parse))


@cache
def _gpu_file(name: str) -> Gpu:
    return carried.gpu(_unchecked("gpus", name))


@cache
def _published_power() -> dict[str, Published]:
    return {name: from_values(_unchecked("power", name)) for name in _names("power")}


def _unchecked(folder: str, name: str) -> dict[str, Any]:
    """A file that the tests hold to its schema."""
    import yaml

    path = ROOT / folder / f"{name}.yaml"
    values: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return values


@cache
def _with_bound(name: str) -> Gpu:
    """The card with its power curve; where nobody measured what CUDA sees of it, with a bound from those that were."""
    card = replace(_gpu_file(name), power_curve=power_curve(name))
    if card.cuda_memory_mib is not None:
        return card
    return replace(card, cuda_memory_floor_mib=lower_bound(card, map(_gpu_file, gpu_names())).mib)


def _is_carried(folder: str, name: str) -> bool:
    """Whether the catalogue has a file of this name. What cannot be one, as `../models/x`, is not looked for."""
    could_be = len(name) <= LONGEST_NAME and "/" not in name and "\0" not in name
    return could_be and (ROOT / folder / f"{name}.yaml").is_file()


def _names(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _files(folder)))


def _files(folder: str) -> Iterator[Path]:
    return (ROOT / folder).glob("*.yaml")


def _read(folder: str, name: str, parse: Callable[[str, str], Value]) -> Value:
    path = ROOT / folder / f"{name}.yaml"
    return parse(path.read_text(encoding="utf-8"), f"catalog/{folder}/{path.name}")


def _like(known: tuple[str, ...], one: str) -> str:
    """Of what no command lists."""
    return f"it has {len(known)} of them, called as {one}"


def _unknown(what: str, name: str, known: tuple[str, ...], told: str) -> BadInput:
    """told: how a person gets to see them, where nothing is called nearly so."""
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else told
    return BadInput(f"no {what} of that name in the catalogue", found=name, hint=hint)
