"""A diffusers directory: model_index.json names the parts, each part has its own weights."""

from collections import Counter
from collections.abc import Mapping, Sequence

from labctl.errors import BadInput
from labctl.models.json_object import parse_object
from labctl.models.model import Model, ParameterCounts, Tensor

# The part that denoises; everything else (text encoders, autoencoder) is counted as other.
_DENOISERS = ("transformer", "transformer_2", "unet")


def parts_of(name: str, index_json: bytes) -> tuple[str, ...]:
    """Sub-directories that model_index.json names, in its order. Raises `BadInput` when it names none."""
    index = parse_object(name, index_json)
    parts = tuple(
        part
        for part, value in index.items()
        if not part.startswith("_") and isinstance(value, list) and len(value) == 2 and value[0] is not None
    )
    if not parts or any("/" in part or part in (".", "..") for part in parts):
        raise BadInput(
            "this names no parts of a pipeline", where=name, expected="transformer, vae, text_encoder …"
        )
    return parts


def model_from_parts(name: str, index_json: bytes, tensors: Mapping[str, Sequence[Tensor]]) -> Model:
    """A pipeline of its index and of its parts' tensor tables; tensors' names begin with their part."""
    index = parse_object(name, index_json)
    table = tuple(
        Tensor(f"{part}.{tensor.name}", tensor.type, tensor.shape, tensor.n_bytes)
        for part in parts_of(name, index_json)
        for tensor in tensors.get(part, ())
    )
    denoised = sum(tensor.n_elements for tensor in table if tensor.name.split(".")[0] in _DENOISERS)
    return Model(
        name=name,
        architecture=str(index.get("_class_name", "unknown"))[:100],
        kind="diffusion",
        layers=(),
        n_embd=0,
        vocab=0,
        context_train=0,
        tied_embedding=False,
        quant=Counter(tensor.type for tensor in table).most_common(1)[0][0] if table else "unknown",
        parameters=ParameterCounts(0, 0, denoised, 0, sum(tensor.n_elements for tensor in table) - denoised),
        confidence="high" if table else "low",
        tensors=table,
        file_bytes=sum(tensor.n_bytes for tensor in table),
    )
