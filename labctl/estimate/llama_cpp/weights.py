"""Weights per place: layers go with their card, inputs stay on the host, tied embeddings lie on both."""

from collections import defaultdict
from functools import cache

from labctl.estimate.llama_cpp.graph import HOST
from labctl.estimate.llama_cpp.layout import Layout
from labctl.models.model import Model, Tensor

# Looked up row by row on the host (src/llama-arch.cpp: LLM_TENSOR_LAYER_INPUT).
_INPUT = frozenset({"token_embd", "position_embd", "token_types", "per_layer_token_embd"})
# Belongs to the first layer although its name has no layer (LLM_TENSOR_LAYER_REPEATING, created with layer 0).
_FIRST_LAYER = frozenset({"per_layer_model_proj", "per_layer_proj_norm"})
# One copy on every card that has layers which read it.
_EVERY_CARD = frozenset({"rope_freqs", "rope_factors_long", "rope_factors_short"})
_FIRST_NORM = "token_embd_norm"


def weight_bytes(model: Model, places: Layout) -> dict[int, int]:
    """Place → bytes of weights."""
    total: defaultdict[int, int] = defaultdict(int)
    for tensor in model.tensors:
        for place in _places(tensor, model, places):
            total[place] += tensor.n_bytes
    return dict(total)


def _places(tensor: Tensor, model: Model, places: Layout) -> tuple[int, ...]:
    layer, part = split_name(tensor.name)
    if layer is not None:
        if layer >= len(model.layers) or not model.layers[layer].loaded:
            return ()
        return (places.experts(layer) if part.endswith("_exps") else places.layers[layer],)
    if part in _EVERY_CARD:
        return tuple(sorted(set(places.layers)))
    if part in _FIRST_LAYER or (part == _FIRST_NORM and model.architecture != "lfm2"):
        return (places.layers[0],)
    if part in _INPUT:
        tied = part == "token_embd" and model.tied_embedding and places.output != HOST
        return (HOST, places.output) if tied else (HOST,)
    return (places.output,)


@cache
def split_name(name: str) -> tuple[int | None, str]:
    """`blk.3.attn_q.weight` as (3, "attn_q"), `output.weight` as (None, "output")."""
    words = name.split(".")
    if words[0] == "blk" and len(words) > 2 and words[1].isdecimal():
        return int(words[1]), ".".join(words[2:-1]) or words[2]
    return None, words[0]
