"""The tensor table that a GGUF file of a catalogue model would have: true names and shapes, sizes to scale.

llama.cpp mixes types within a file. Embedding and output have the types it gives them; what is left of the file's size
is spread over the other matrices, so totals are right and a single matrix is right within some per cent.
"""

from collections.abc import Iterator
from math import ceil, prod

from labctl.models.gguf_bits import end_types, layer_bits, layer_type, typed
from labctl.models.layer import Attention, LatentAttention, Layer
from labctl.models.model import Model, Tensor
from labctl.models.tensor_rows import Beside, Shaped

# Architectures that norm what attention and feed-forward give, and those that norm queries and keys.
_NORMED_AFTER = {"gemma2", "gemma3", "gemma3n", "glm4"}
_NORMED_HEADS = {"qwen3", "qwen3moe", "qwen3next", "gemma3", "gemma3n", "lfm2"}
# Norm before the feed-forward by this name, in place of ffn_norm.
_NORMED_BEFORE = {
    "gpt-oss": "post_attention_norm",
    "qwen3next": "post_attention_norm",
    "glm4moe": "post_attention_norm",
}
# Half of what the query projection makes is a gate.
GATED_QUERIES = {"qwen3next", "qwen35", "qwen35moe"}
# Queries, keys and values come from one matrix; gate and up from one.
_FUSED_ATTENTION = {"phi3", "phimoe", "nomic-bert"}
_FUSED_FEED_FORWARD = {"phi3", "glm4"}


def outline(model: Model, beside: Beside, bits_per_weight: float) -> tuple[Tensor, ...]:
    """One row per tensor; their bytes add up to the model's file_bytes, or make it where that is 0.

    Empty for a model without layers. bits_per_weight: of the format, as `Quantization` has it.
    """
    if not model.layers:
        return ()
    # An encoder has no output projection, so its embedding gets the type of one.
    tied = model.tied_embedding or not beside.output
    embedding_type, output_type = end_types(model.quant, tied=tied)
    ends = [typed("token_embd.weight", embedding_type, (model.n_embd, model.vocab))]
    ends += [typed(name, end_types(model.quant, tied=False)[0], shape) for name, shape in beside.looked_up]
    if not tied:
        ends.append(typed("output.weight", output_type, (model.n_embd, model.vocab)))
    plain = (*_small(model, beside), *beside.kept)
    small = [Tensor(name, "f32", shape, 4 * prod(shape)) for name, shape in plain]
    matrices = list(_matrices(model, beside))
    weighed = [
        prod(shape) * layer_bits(model.quant, bits_per_weight, name, shape[0]) / 8 for name, shape in matrices
    ]
    total = sum(weighed)
    left = model.file_bytes - sum(tensor.n_bytes for tensor in (*ends, *small))
    scale = left / total if model.file_bytes else 1.0
    sized: list[Tensor] = []
    done, spent = 0.0, 0
    for (name, shape), weight in zip(matrices, weighed, strict=True):
        done += weight
        n_bytes = ceil(done * scale - 1e-3) - spent
        spent += n_bytes
        sized.append(Tensor(name, layer_type(model.quant), shape, n_bytes))
    return (*ends, *small, *sized)


def _small(model: Model, beside: Beside) -> Iterator[Shaped]:
    # LFM2's last norm has the name of an input's.
    yield "token_embd_norm.weight" if model.architecture == "lfm2" else "output_norm.weight", (model.n_embd,)
    for index, layer in enumerate(model.layers):
        at = f"blk.{index}"
        yield f"{at}.attn_norm.weight", (model.n_embd,)
        if _feeds_after_mixing(layer):
            yield f"{at}.{_NORMED_BEFORE.get(model.architecture, 'ffn_norm')}.weight", (model.n_embd,)
        if model.architecture in _NORMED_AFTER:
            yield f"{at}.post_attention_norm.weight", (model.n_embd,)
            yield f"{at}.post_ffw_norm.weight", (model.n_embd,)
        if layer.attention and model.architecture in _NORMED_HEADS:
            yield f"{at}.attn_q_norm.weight", (layer.attention.head_dim_k,)
            yield f"{at}.attn_k_norm.weight", (layer.attention.head_dim_k,)
        if layer.experts:
            yield f"{at}.ffn_gate_inp.weight", (model.n_embd, layer.experts.count)
        for name, shape in beside.of(index).plain:
            yield f"{at}.{name}", shape


def _feeds_after_mixing(layer: Layer) -> bool:
    mixes = layer.attention is not None or layer.recurrent is not None
    return mixes and bool(layer.experts or layer.ff_size) and not _mixes_channels(layer)


def _mixes_channels(layer: Layer) -> bool:
    """RWKV has channel mixing in the feed-forward's place."""
    return layer.recurrent is not None and layer.recurrent.kind.startswith("rwkv")


def _matrices(model: Model, beside: Beside) -> Iterator[Shaped]:
    yield from beside.outside
    hidden = model.n_embd
    for index, layer in enumerate(model.layers):
        at = f"blk.{index}"
        if layer.attention:
            yield from _attention(at, model, layer.attention)
        for name, shape in beside.of(index).matrices:
            yield f"{at}.{name}", shape
        if layer.experts:
            experts = layer.experts
            if beside.gated:
                yield f"{at}.ffn_gate_exps.weight", (hidden, experts.ff_size, experts.count)
            yield f"{at}.ffn_up_exps.weight", (hidden, experts.ff_size, experts.count)
            yield f"{at}.ffn_down_exps.weight", (experts.ff_size, hidden, experts.count)
        fused = model.architecture in _FUSED_FEED_FORWARD
        for suffix, size in (
            ("_shexp", layer.experts.shared_ff_size if layer.experts else 0),
            ("", 0 if _mixes_channels(layer) else layer.ff_size),
        ):
            if size:
                if beside.gated and not fused:
                    yield f"{at}.ffn_gate{suffix}.weight", (hidden, size)
                yield f"{at}.ffn_up{suffix}.weight", (hidden, 2 * size if fused else size)
                yield f"{at}.ffn_down{suffix}.weight", (size, hidden)


def _attention(at: str, model: Model, attention: Attention) -> Iterator[Shaped]:
    hidden = model.n_embd
    if attention.latent:
        yield from _latent(at, hidden, attention.n_head, attention.latent)
        return
    queries = attention.n_head * attention.head_dim_k * (2 if model.architecture in GATED_QUERIES else 1)
    keys, values = attention.n_head_kv * attention.head_dim_k, attention.n_head_kv * attention.head_dim_v
    if model.architecture in _FUSED_ATTENTION:
        yield f"{at}.attn_qkv.weight", (hidden, queries + keys + values)
    else:
        yield f"{at}.attn_q.weight", (hidden, queries)
        yield f"{at}.attn_k.weight", (hidden, keys)
        yield f"{at}.attn_v.weight", (hidden, values)
    yield f"{at}.attn_output.weight", (attention.n_head * attention.head_dim_v, hidden)


def _latent(at: str, hidden: int, heads: int, latent: LatentAttention) -> Iterator[Shaped]:
    queries = heads * (latent.nope_head_dim + latent.rope_head_dim)
    if latent.q_lora_rank:
        yield f"{at}.attn_q_a.weight", (hidden, latent.q_lora_rank)
        yield f"{at}.attn_q_b.weight", (latent.q_lora_rank, queries)
    else:
        yield f"{at}.attn_q.weight", (hidden, queries)
    yield f"{at}.attn_kv_a_mqa.weight", (hidden, latent.kv_lora_rank + latent.rope_head_dim)
    yield f"{at}.attn_k_b.weight", (latent.nope_head_dim, latent.kv_lora_rank, heads)
    yield f"{at}.attn_v_b.weight", (latent.kv_lora_rank, latent.v_head_dim, heads)
    yield f"{at}.attn_output.weight", (heads * latent.v_head_dim, hidden)
