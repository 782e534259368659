"""The tensor table that a GGUF file of a catalogue model would have: true names and shapes, sizes to scale.

llama.cpp mixes types within a file. Embedding and output have the types it gives them; what is left of the file's size
is spread over the other matrices, so totals are right and a single matrix is right within some per cent.
"""

from collections.abc import Iterator
from math import prod

from labctl.models.ggml_types import BY_NAME
from labctl.models.layer import Attention, LatentAttention, Layer
from labctl.models.model import Model, Tensor
from labctl.models.tensor_rows import Beside, Shaped

# llama_model_quantize: the output projection of K and I quantizations; an embedding that is the output as well too.
_OUTPUT_TYPE = "q6_k"
_EMBEDDING_TYPES = {
    "Q2": "q2_k",
    "Q3": "q3_k",
    "Q4_K": "q4_k",
    "Q5_K": "q5_k",
    "IQ2": "q2_k",
    "IQ3": "iq3_s",
    "IQ4": "iq4_xs",
}
_WHOLE = {
    "Q8_0": "q8_0",
    "F16": "f16",
    "BF16": "bf16",
    "Q4_0": "q4_0",
    "Q6_K": "q6_k",
    "MXFP4": "q8_0",
    "IQ4_NL": "iq4_nl",
}
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


def outline(model: Model, beside: Beside) -> tuple[Tensor, ...]:
    """One row per tensor; their bytes add up to the model's file_bytes. Empty for a model without layers."""
    if not model.layers:
        return ()
    embedding_type, output_type = _end_types(model.quant, tied=model.tied_embedding)
    ends = [_typed("token_embd.weight", embedding_type, (model.n_embd, model.vocab))]
    ends += [_typed(name, _end_types(model.quant, tied=False)[0], shape) for name, shape in beside.looked_up]
    if beside.output and not model.tied_embedding:
        ends.append(_typed("output.weight", output_type, (model.n_embd, model.vocab)))
    small = [Tensor(name, "f32", shape, 4 * prod(shape)) for name, shape in _small(model, beside)]
    matrices = list(_matrices(model, beside))
    left = model.file_bytes - sum(tensor.n_bytes for tensor in (*ends, *small))
    elements = sum(prod(shape) for _, shape in matrices)
    sized: list[Tensor] = []
    done = spent = 0
    for name, shape in matrices:
        done += prod(shape)
        n_bytes = left * done // elements - spent
        spent += n_bytes
        sized.append(Tensor(name, _named(model.quant), shape, n_bytes))
    return (*ends, *small, *sized)


def _typed(name: str, kind: str, shape: tuple[int, ...]) -> Tensor:
    row = BY_NAME[kind]
    return Tensor(name, kind, shape, prod(shape) * row.block_bytes // row.block)


def _end_types(quant: str, *, tied: bool) -> tuple[str, str]:
    name = quant.upper()
    if name in _WHOLE:
        return _WHOLE[name], _WHOLE[name]
    embedding = next((kind for prefix, kind in _EMBEDDING_TYPES.items() if name.startswith(prefix)), "q4_k")
    return (_OUTPUT_TYPE if tied else embedding), _OUTPUT_TYPE


def _named(quant: str) -> str:
    name = quant.upper()
    if name == "MXFP4":
        return "mxfp4"
    return _end_types(quant, tied=False)[0]


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
