"""A directory of Hugging Face's: config.json, and the tensor tables of its safetensors, as a Model.

Keys: https://huggingface.co/docs/transformers/main_classes/configuration and each architecture's own page.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from labctl.errors import BadInput
from labctl.models.hf_layers import DEFAULTS, MAX_LAYERS, layers
from labctl.models.hf_numbers import Numbers
from labctl.models.hf_parameters import TIED_BY_DEFAULT, counted, vision_parameters
from labctl.models.hf_quantization import counted_tensors, estimated_bytes, is_output, quant_name
from labctl.models.json_object import parse_object
from labctl.models.model import Confidence, Kind, Model, ParameterCounts, Tensor

_ENCODERS = ("Bert", "Roberta", "XLMRoberta", "ModernBert", "NomicBert", "MPNet", "NewModel", "Camembert")
# Whose layers are read as they are; everything else is a dense upper estimate.
KNOWN = frozenset({
    "llama", "llama4_text", "mistral", "ministral", "mixtral", "qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl",
    "qwen2_5_vl_text", "qwen2_vl_text", "qwen3", "qwen3_moe", "qwen3_next", "qwen3_vl_text",
    "qwen3_vl_moe_text", "qwen3_5_text", "qwen3_5_moe_text", "gemma", "gemma2", "gemma3_text", "gemma3n_text",
    "phi3", "phimoe", "deepseek_v2", "deepseek_v3", "kimi_k2", "gpt_oss", "cohere", "cohere2", "glm", "glm4",
    "glm4_moe", "granite", "granitemoe", "granitemoeshared", "granitemoehybrid", "falcon_h1", "jamba", "mamba",
    "mamba2", "falcon_mamba", "rwkv6", "rwkv7", "lfm2", "lfm2_moe", "nemotron", "nemotron_h", "olmo2", "olmo3",
    "exaone4", "smollm3", "starcoder2", "seed_oss", "hunyuan_v1_dense", "ernie4_5", "stablelm", "gpt2",
    "gpt_neox", "mllama_text_model", "chatglm", "dots1", "bert", "roberta", "xlm-roberta", "modernbert",
    "nomic_bert", "mpnet", "camembert",
})  # fmt: skip
# Where a model of several parts keeps its language model.
_TEXT_PARTS = ("text_config", "language_config", "llm_config", "thinker_config", "decoder")
# In checkpoints beside the model; engines leave them in the file unless asked for speculative decoding.
_MTP = re.compile(r"(?:^|\.)mtp\.|\.nextn\.")
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,5})\.")


def model_from_config(
    name: str, config_json: bytes, tensors: Sequence[Tensor] = (), file_bytes: int = 0
) -> Model:
    """A model of its config.json; with `tensors` its weights are exact, else counted from the sizes.

    file_bytes: of weights whose header cannot be read; with neither they are counted too. The model's own file_bytes
    are without what engines leave in the file (multi-token prediction).
    Raises `BadInput` where the config is no JSON object or a size cannot be meant.
    """
    config = parse_object(name, config_json)
    if config.get("model_type") == "whisper":
        return _whisper(name, config, tensors, file_bytes)
    numbers = Numbers(_with_defaults(_text_part(config)), name)
    n_layers = numbers.first("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_hidden_layer")
    if not 0 < n_layers <= MAX_LAYERS:
        raise BadInput(
            "the number of layers cannot be meant",
            where=f"{name}: num_hidden_layers",
            found=str(n_layers),
            expected=f"1 to {MAX_LAYERS}",
            hint="is this a language model's config.json?",
        )
    known = numbers.kind in KNOWN
    hidden = numbers.first("hidden_size", "d_model", "n_embd") or numbers.size("hidden_size")
    vocab = numbers.first("vocab_size", "padded_vocab_size")
    blocks = layers(numbers, n_layers, known=known)
    tied = _is_tied(config, numbers, tensors)
    loaded = _loaded(tensors, n_layers)
    quant = quant_name(config, loaded)
    parameters = (
        counted_tensors(config, loaded)
        if loaded
        else _with_vision(counted(numbers, blocks, hidden, vocab, tied=tied), vision_parameters(config, name))
    )
    confidence: Confidence = "low" if not known else "high" if loaded else "medium"
    return Model(
        name=name,
        architecture=numbers.kind or "unknown",
        kind=_kind(config),
        layers=blocks,
        n_embd=hidden,
        vocab=vocab,
        context_train=numbers.first("max_position_embeddings", "seq_length", "n_positions", "max_seq_len"),
        tied_embedding=tied and _kind(config) == "llm",
        quant=quant,
        parameters=parameters,
        confidence=confidence,
        tensors=loaded,
        file_bytes=_sum(loaded) or file_bytes or estimated_bytes(parameters, quant),
        notes=_notes(
            numbers, known=known, left=_sum(tensors) - _sum(loaded), seen=bool(loaded or file_bytes)
        ),
    )


def _text_part(config: dict[str, Any]) -> dict[str, Any]:
    """The language model's own keys, at most two levels down."""
    for _ in range(2):
        inner = next((config[key] for key in _TEXT_PARTS if isinstance(config.get(key), dict)), None)
        if inner is None:
            break
        config = inner
    return config


def _with_defaults(config: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in config.items() if value is not None}
    ssm = given.get("ssm_cfg")
    if isinstance(ssm, dict) and not given.get("model_type"):  # state-spaces' own files
        given["model_type"] = "mamba2" if ssm.get("layer") == "Mamba2" else "mamba"
        multiple = given.get("pad_vocab_size_multiple")
        vocab = given.get("vocab_size")
        if type(multiple) is int and type(vocab) is int and 0 < multiple <= vocab:
            given["vocab_size"] = -(-vocab // multiple) * multiple
        given["tie_word_embeddings"] = given.get("tie_embeddings", True)
    return {**DEFAULTS.get(str(given.get("model_type")), {}), **given}


def _is_tied(config: Mapping[str, Any], numbers: Numbers, tensors: Sequence[Tensor]) -> bool:
    if tensors:
        return not any(is_output(tensor.name) for tensor in tensors)
    for values in (numbers.values, config):
        for key in ("tie_word_embeddings", "tie_embedding"):
            if isinstance(values.get(key), bool):
                return bool(values[key])
    return numbers.kind in TIED_BY_DEFAULT


def _loaded(tensors: Sequence[Tensor], n_layers: int) -> tuple[Tensor, ...]:
    """Without the layers behind the last, and other parts of multi-token prediction."""

    def left_out(name: str) -> bool:
        layer = _LAYER.search(name)
        beyond = layer is not None and int(layer[1]) >= n_layers and not _is_tower(name)
        return beyond or _MTP.search(name) is not None

    return tuple(tensor for tensor in tensors if not left_out(tensor.name))


def _is_tower(name: str) -> bool:
    """Vision and audio towers count their layers on their own."""
    return any(word in name for word in ("vision", "visual", "audio", "encoder", "talker"))


def _with_vision(counts: ParameterCounts, vision: int) -> ParameterCounts:
    return ParameterCounts(counts.embedding, counts.output, counts.layers, counts.experts, vision)


def _sum(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.n_bytes for tensor in tensors)


def _notes(numbers: Numbers, *, known: bool, left: int, seen: bool) -> tuple[str, ...]:
    notes = []
    if not known:
        notes.append(
            f"{numbers.kind or 'this architecture'} is not known: taken as dense, which is the most it can be"
        )
    if left:
        notes.append(f"{left} B of multi-token prediction stay in the files")
    if not seen:
        notes.append("no weights were seen: their size is counted from config.json")
    return tuple(notes)


def _kind(config: Mapping[str, Any]) -> Kind:
    names = config.get("architectures")
    first = str(names[0]) if isinstance(names, list) and names else ""
    if "SequenceClassification" in first:
        return "reranker"
    return "embedding" if first.startswith(_ENCODERS) else "llm"


def _whisper(name: str, config: dict[str, Any], tensors: Sequence[Tensor], file_bytes: int) -> Model:
    """Only its size: estimates of speech models use the catalogue."""
    numbers = Numbers(config, name)
    width, vocab = numbers.size("d_model"), numbers.first("vocab_size")
    inner = 2 * width * numbers.first("encoder_ffn_dim", default=4 * width)
    counts = (
        counted_tensors(config, tensors)
        if tensors
        else ParameterCounts(
            vocab * width,
            0,
            numbers.first("encoder_layers") * (4 * width * width + inner)
            + numbers.first("decoder_layers") * (8 * width * width + inner),
        )
    )
    quant = quant_name(config, tensors)
    return Model(
        name=name,
        architecture="whisper",
        kind="whisper",
        layers=(),
        n_embd=width,
        vocab=vocab,
        context_train=numbers.first("max_target_positions"),
        tied_embedding=True,
        quant=quant,
        parameters=counts,
        confidence="high" if tensors else "medium",
        tensors=tuple(tensors),
        file_bytes=_sum(tensors) or file_bytes or estimated_bytes(counts, quant),
    )
