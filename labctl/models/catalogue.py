"""A language model's YAML file in the catalogue as a `Model`. Reading the file is the caller's.

A figure that no source gave is null; a model without a shape has no layers and low confidence.
"""

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.errors import BadInput
from labctl.models.gguf_outline import outline
from labctl.models.layer import Attention, Experts, LatentAttention, Layer
from labctl.models.model import Confidence, Kind, Model, ParameterCounts
from labctl.models.quantization import Quantization
from labctl.yaml_document import read

# Architectures whose GGUF files carry the vision tower; others keep it in a file of its own (mmproj).
IN_ONE_FILE = {"mllama"}
_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class Shape(BaseModel):
    """Dimensions, as config.json names them. heads, kv_heads: one number, or one per layer (0: no attention there)."""

    model_config = _STRICT
    layers: int = Field(gt=0)
    hidden: int = Field(gt=0)
    heads: int | list[int]
    kv_heads: int | list[int]
    head_dim: int = Field(gt=0)
    ff: int = Field(ge=0)
    vocab: int = Field(gt=0)
    tied_embedding: bool

    @model_validator(mode="after")
    def _one_entry_per_layer(self) -> "Shape":
        for name, values in (("heads", self.heads), ("kv_heads", self.kv_heads)):
            if isinstance(values, list) and len(values) != self.layers:
                raise ValueError(f"{name} has {len(values)} entries for {self.layers} layers")
        return self


class ExpertShape(BaseModel):
    """A mixture of experts. dense_layers: so many first layers have an ordinary feed-forward instead."""

    model_config = _STRICT
    count: int = Field(gt=0)
    used: int = Field(gt=0)
    ff: int = Field(gt=0)
    shared_ff: int = Field(ge=0)
    dense_layers: int = Field(ge=0)


class LatentShape(BaseModel):
    """Multi-head latent attention; names as in config.json."""

    model_config = _STRICT
    kv_lora_rank: int
    q_lora_rank: int
    qk_rope_head_dim: int
    qk_nope_head_dim: int
    v_head_dim: int


class WindowShape(BaseModel):
    """size: tokens. global_layers: indices of the layers that see everything. chunked: fixed chunks, not sliding."""

    model_config = _STRICT
    size: int = Field(gt=0)
    global_layers: list[int]
    chunked: bool = False


class FileSize(BaseModel):
    """One published file or set of files."""

    model_config = _STRICT
    quant: str
    bytes: int = Field(gt=0)
    source: str = Field(min_length=8)


class ModelRecord(BaseModel):
    """One model of the catalogue. parameters: of the text model, as published; other_parameters: vision and such."""

    model_config = _STRICT
    name: str = Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")
    title: str
    aliases: list[str]
    kind: Kind
    architecture: str | None
    parameters: int | None = Field(gt=0)
    other_parameters: int = Field(default=0, ge=0)
    context_train: int | None = Field(gt=0)
    shape: Shape | None
    experts: ExpertShape | None = None
    latent: LatentShape | None = None
    window: WindowShape | None = None
    files: list[FileSize] = []
    uses: list[str] = []
    sources: list[str] = Field(min_length=1)
    note: str | None = None

    @model_validator(mode="after")
    def _counts_agree(self) -> "ModelRecord":
        if self.shape is None and (self.experts or self.latent or self.window):
            raise ValueError("experts, latent and window describe a shape, and there is none")
        if self.shape is not None and self.parameters is not None:
            counted = _counted(self, self.shape).total - self.other_parameters
            if abs(counted - self.parameters) > 0.01 * self.parameters:
                raise ValueError(f"the shape makes {counted} parameters, the file says {self.parameters}")
        return self


def parse(text: str, where: str) -> ModelRecord:
    """The record in a catalogue file. Raises BadInput with file, line and key."""
    return read(text, where, ModelRecord)


def build(record: ModelRecord, quantization: Quantization) -> Model:
    """The model that a record describes, in one quantization. file_bytes: as published, else by bits per weight.

    Raises BadInput where neither shape nor parameter count are known.
    """
    published = next((each for each in record.files if each.quant.lower() == quantization.name.lower()), None)
    if record.shape is None:
        if record.parameters is None:
            raise BadInput(
                "the catalogue knows neither shape nor parameters of this model",
                where=record.name,
                hint="give a .gguf file or a directory with config.json",
            )
        model = _without_shape(record)
    else:
        model = _with_shape(record, record.shape)
    if quantization.container == "gguf" and record.architecture not in IN_ONE_FILE:
        model = replace(model, parameters=replace(model.parameters, other=0))
    n_bytes = published.bytes if published else quantization.file_bytes(model.parameters)
    notes = (f"size of {quantization.name} as published: {published.source}",) if published else ()
    model = replace(model, quant=quantization.name, file_bytes=n_bytes, notes=model.notes + notes)
    return replace(model, tensors=outline(model)) if quantization.container == "gguf" else model


def _without_shape(record: ModelRecord) -> Model:
    parameters = ParameterCounts(0, 0, record.parameters or 0, 0, record.other_parameters)
    return Model(
        name=record.name,
        architecture=record.architecture or "unknown",
        kind=record.kind,
        layers=(),
        n_embd=0,
        vocab=0,
        context_train=record.context_train or 0,
        tied_embedding=False,
        quant="",
        parameters=parameters,
        confidence="low",
        notes=("only the number of parameters was published: KV cache and compute are not in this estimate",),
    )


def _with_shape(record: ModelRecord, shape: Shape) -> Model:
    counted = _counted(record, shape)
    confidence: Confidence = "medium"
    if record.parameters is not None:
        # Norms and biases, which differ by family, are whatever the published count has more.
        rest = record.parameters - counted.embedding - counted.output - counted.experts
        counted = replace(counted, layers=rest)
        confidence = "high"
    return Model(
        name=record.name,
        architecture=record.architecture or "unknown",
        kind=record.kind,
        layers=tuple(_layer(record, shape, index) for index in range(shape.layers)),
        n_embd=shape.hidden,
        vocab=shape.vocab,
        context_train=record.context_train or 0,
        tied_embedding=shape.tied_embedding,
        quant="",
        parameters=counted,
        confidence=confidence,
    )


def _at(values: int | list[int], index: int) -> int:
    return values[index] if isinstance(values, list) else values


def _layer(record: ModelRecord, shape: Shape, index: int) -> Layer:
    heads, kv_heads = _at(shape.heads, index), _at(shape.kv_heads, index)
    window = record.window
    latent = record.latent
    attention = Attention(
        n_head=heads,
        # As a GGUF header has it: one shared head, the latent, is what is cached.
        n_head_kv=1 if latent else kv_heads,
        head_dim_k=latent.kv_lora_rank + latent.qk_rope_head_dim if latent else shape.head_dim,
        head_dim_v=latent.kv_lora_rank if latent else shape.head_dim,
        window=window.size if window and index not in window.global_layers else None,
        chunked=bool(window and window.chunked and index not in window.global_layers),
        latent=LatentAttention(
            latent.kv_lora_rank,
            latent.qk_rope_head_dim,
            latent.q_lora_rank,
            latent.qk_nope_head_dim,
            latent.v_head_dim,
        )
        if latent
        else None,
    )
    experts = record.experts if record.experts and index >= record.experts.dense_layers else None
    return Layer(
        attention=attention if heads else None,
        experts=Experts(experts.count, experts.used, experts.ff, experts.shared_ff) if experts else None,
        ff_size=0 if experts else shape.ff,
    )


def _counted(record: ModelRecord, shape: Shape) -> ParameterCounts:
    """Matrices and norms of a decoder with gated feed-forward; biases are left out, they are below 0.1 %."""
    embedding = shape.vocab * shape.hidden
    layers = experts = 0
    for index in range(shape.layers):
        layers += _attention_parameters(record, shape, index) + 2 * shape.hidden
        routed = record.experts if record.experts and index >= record.experts.dense_layers else None
        if routed:
            experts += routed.count * 3 * shape.hidden * routed.ff
            layers += routed.count * shape.hidden + 3 * shape.hidden * routed.shared_ff
        else:
            layers += 3 * shape.hidden * shape.ff
    output = 0 if shape.tied_embedding else embedding
    return ParameterCounts(embedding, output, layers + shape.hidden, experts, record.other_parameters)


def _attention_parameters(record: ModelRecord, shape: Shape, index: int) -> int:
    heads, kv_heads, hidden = _at(shape.heads, index), _at(shape.kv_heads, index), shape.hidden
    if record.latent is None:
        return 2 * hidden * heads * shape.head_dim + 2 * hidden * kv_heads * shape.head_dim
    latent = record.latent
    key = latent.qk_nope_head_dim + latent.qk_rope_head_dim
    queries = latent.q_lora_rank * (hidden + heads * key + 1) if latent.q_lora_rank else hidden * heads * key
    compressed = hidden * (latent.kv_lora_rank + latent.qk_rope_head_dim) + latent.kv_lora_rank
    expanded = latent.kv_lora_rank * heads * (latent.qk_nope_head_dim + latent.v_head_dim)
    return queries + compressed + expanded + heads * latent.v_head_dim * hidden
