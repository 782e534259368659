"""A directory of Hugging Face's: config.json, and the tensor tables of its safetensors, as a Model.

Keys: https://huggingface.co/docs/transformers/main_classes/configuration and each architecture's own page.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labctl.errors import BadInput
from labctl.models.hf_layers import MAX_LAYERS, layers
from labctl.models.hf_numbers import Numbers
from labctl.models.json_object import parse_object
from labctl.models.layer import Layer
from labctl.models.model import Kind, Model, ParameterCounts, Tensor

_ENCODERS = ("Bert", "XLMRoberta", "ModernBert")


def model_from_config(
    name: str, config_json: bytes, tensors: Sequence[Tensor] = (), file_bytes: int = 0
) -> Model:
    """A model of its config.json; with `tensors` its weights are exact, else counted from the sizes.

    Raises `BadInput` where the config is no JSON object or a size cannot be meant.
    """
    config = parse_object(name, config_json)
    text = config.get("text_config") if isinstance(config.get("text_config"), dict) else config
    numbers = Numbers(text if isinstance(text, dict) else config, name)
    n_layers = numbers.size("num_hidden_layers", 0) or numbers.size("n_layer")
    if not 0 < n_layers <= MAX_LAYERS:
        raise BadInput(
            "the number of layers cannot be meant",
            where=f"{name}: num_hidden_layers",
            found=str(n_layers),
            expected=f"1 to {MAX_LAYERS}",
        )
    blocks, known = layers(numbers, n_layers)
    architecture = str(numbers.values.get("model_type") or config.get("model_type") or "unknown")[:100]
    tied = bool(numbers.values.get("tie_word_embeddings", config.get("tie_word_embeddings", False)))
    hidden, vocab = numbers.size("hidden_size"), numbers.size("vocab_size", 0)
    return Model(
        name=name,
        architecture=architecture,
        kind=_kind(config),
        layers=blocks,
        n_embd=hidden,
        vocab=vocab,
        context_train=numbers.size("max_position_embeddings", 0),
        tied_embedding=tied,
        quant=_quant(config, tensors),
        parameters=_from_tensors(tensors) if tensors else _from_sizes(blocks, hidden, vocab, tied=tied),
        confidence="low" if not known else "high" if tensors else "medium",
        tensors=tuple(tensors),
        n_files=0,
        file_bytes=file_bytes,
        notes=() if known else (f"{architecture}: parts of this model are not known, taken as dense",),
    )


def _kind(config: Mapping[str, Any]) -> Kind:
    names = config.get("architectures")
    first = str(names[0]) if isinstance(names, list) and names else ""
    if "SequenceClassification" in first:
        return "reranker"
    if "Whisper" in first:
        return "whisper"
    return "embedding" if first.startswith(_ENCODERS) else "llm"


def _quant(config: Mapping[str, Any], tensors: Iterable[Tensor]) -> str:
    quantization = config.get("quantization_config")
    if isinstance(quantization, dict):
        method = str(quantization.get("quant_method", "quantized"))[:40]
        bits = quantization.get("bits")
        return f"{method}-int{bits}" if isinstance(bits, int) else method
    by_type: Counter[str] = Counter()
    for tensor in tensors:
        by_type[tensor.type] += tensor.n_bytes
    dtype = config.get("torch_dtype") or config.get("dtype") or "bfloat16"
    names = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}
    return by_type.most_common(1)[0][0] if by_type else names.get(str(dtype), "bf16")


def _from_tensors(tensors: Iterable[Tensor]) -> ParameterCounts:
    counts = Counter[str]()
    for tensor in tensors:
        if "embed_tokens" in tensor.name or "word_embeddings" in tensor.name or ".wte." in tensor.name:
            part = "embedding"
        elif "lm_head" in tensor.name:
            part = "output"
        elif ".experts." in tensor.name:
            part = "experts"
        elif "vision" in tensor.name or "visual" in tensor.name:
            part = "other"
        else:
            part = "layers"
        counts[part] += tensor.n_elements
    return ParameterCounts(
        **{part: counts[part] for part in ("embedding", "output", "layers", "experts", "other")}
    )


def _from_sizes(blocks: Iterable[Layer], hidden: int, vocab: int, *, tied: bool) -> ParameterCounts:
    """Matrices and norms; biases are left out (a thousandth)."""
    dense = experts = 0
    for layer in blocks:
        dense += 2 * hidden + 3 * hidden * layer.ff_size
        if attends := layer.attention:
            dense += (
                _attention_parameters(layer, hidden)
                if attends.latent
                else hidden
                * (
                    attends.n_head * (attends.head_dim_k + attends.head_dim_v)
                    + attends.n_head_kv * (attends.head_dim_k + attends.head_dim_v)
                )
            )
        if layer.recurrent:
            dense += 6 * hidden * hidden
        if layer.experts:
            experts += 3 * hidden * layer.experts.ff_size * layer.experts.count
            dense += hidden * layer.experts.count + 3 * hidden * layer.experts.shared_ff_size
    return ParameterCounts(vocab * hidden, 0 if tied else vocab * hidden, dense + hidden, experts)


def _attention_parameters(layer: Layer, hidden: int) -> int:
    assert layer.attention
    assert layer.attention.latent
    heads, latent = layer.attention.n_head, layer.attention.latent
    asked = heads * (latent.nope_head_dim + latent.rope_head_dim)
    query = latent.q_lora_rank * (hidden + asked) if latent.q_lora_rank else hidden * asked
    cached = hidden * (latent.kv_lora_rank + latent.rope_head_dim)
    restored = latent.kv_lora_rank * heads * (latent.nope_head_dim + latent.v_head_dim)
    return query + cached + restored + heads * latent.v_head_dim * hidden
