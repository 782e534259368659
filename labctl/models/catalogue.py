"""A language model's YAML file in the catalogue as a `Model`. Reading the file is the caller's.

A figure that no source gave is null; a model without a shape has no layers and low confidence.
"""

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.errors import BadInput
from labctl.models.catalogue_shape import (
    AltupShape,
    EncoderShape,
    ExpertShape,
    FileSize,
    LatentShape,
    OnHub,
    Shape,
    Use,
    WindowShape,
)
from labctl.models.gguf_outline import GATED_QUERIES, outline
from labctl.models.layer import Attention, Experts, LatentAttention, Layer
from labctl.models.model import Confidence, Kind, Model, ParameterCounts
from labctl.models.quantization import Quantization
from labctl.models.recurrent_shape import RecurrentShape
from labctl.models.tensor_rows import Beside, Rows, elements
from labctl.yaml_document import read

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelRecord(BaseModel):
    """One model of the catalogue. parameters: of the text model, as published; other_parameters: vision and such.

    A GGUF's model is without the latter: `vision_part` has them. newer: the name of the one that took its place, of
    about the same size.
    """

    model_config = _STRICT
    name: str = Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")
    title: str
    aliases: list[str]
    hub: OnHub = OnHub()
    kind: Kind
    architecture: str | None
    parameters: int | None = Field(gt=0)
    other_parameters: int = Field(default=0, ge=0)
    context_train: int | None = Field(gt=0)
    shape: Shape | None
    experts: ExpertShape | None = None
    latent: LatentShape | None = None
    window: WindowShape | None = None
    recurrent: RecurrentShape | None = None
    altup: AltupShape | None = None
    encoder: EncoderShape | None = None
    files: list[FileSize] = []
    uses: list[Use] = Field(min_length=1)
    newer: str | None = None
    sources: list[str] = Field(min_length=1)
    note: str | None = None

    @model_validator(mode="after")
    def _counts_agree(self) -> "ModelRecord":
        parts = (self.experts, self.latent, self.window, self.recurrent, self.altup, self.encoder)
        if self.shape is None and any(parts):
            raise ValueError("experts, latent, window and such describe a shape, and there is none")
        if self.shape is not None and self.shape.recurs != (self.recurrent is not None):
            raise ValueError(
                "recurrent layers need both: letters R, B or r in shape.pattern, and `recurrent`"
            )
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
    if quantization.container == "gguf":
        # What sees is `vision_part`, for every architecture: here it would be counted twice.
        model = replace(model, parameters=replace(model.parameters, other=0))
    notes = (f"size of {quantization.name} as published: {published.source}",) if published else ()
    n_bytes = published.bytes if published else 0
    model = replace(model, quant=quantization.name, file_bytes=n_bytes, notes=model.notes + notes)
    if quantization.container == "gguf" and record.shape is not None:
        rows = outline(model, _beside(record, record.shape), quantization.bits_per_weight)
        return replace(model, tensors=rows, file_bytes=sum(row.n_bytes for row in rows))
    return replace(model, file_bytes=n_bytes or quantization.file_bytes(model.parameters))


def vision_part(record: ModelRecord) -> Model | None:
    """What is loaded beside a GGUF's text model, in 16 bits; None where nothing is.

    Mostly an mmproj file. Llama 3.2 Vision's tower lies in the model's own file, and takes as much.
    """
    if not record.other_parameters:
        return None
    return Model(
        name=f"mmproj of {record.name}",
        architecture="clip",
        kind="mmproj",
        layers=(),
        n_embd=0,
        vocab=0,
        context_train=0,
        tied_embedding=False,
        quant="F16",
        parameters=ParameterCounts(0, 0, 0, 0, record.other_parameters),
        confidence="medium",
        file_bytes=2 * record.other_parameters,
    )


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


def _layer(record: ModelRecord, shape: Shape, index: int) -> Layer:
    parts, window, latent = shape.parts(index), record.window, record.latent
    heads, kv_heads = shape.heads_of(index)
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
        caches=index < shape.layers - shape.kv_shared_layers and record.encoder is None,
    )
    experts = _experts_at(record, shape, index)
    return Layer(
        attention=attention if parts.attends else None,
        recurrent=record.recurrent.layer(shape.hidden) if record.recurrent and parts.recurs else None,
        experts=Experts(experts.count, experts.used, experts.ff, experts.shared_ff) if experts else None,
        ff_size=shape.ff if parts.feeds and not experts else 0,
    )


def _experts_at(record: ModelRecord, shape: Shape, index: int) -> ExpertShape | None:
    parts, experts = shape.parts(index), record.experts
    if experts is None or not parts.feeds:
        return None
    # Where a pattern has letters for experts, it alone says where they are.
    by_letter = "e" in (shape.pattern or "")
    return experts if (parts.experts if by_letter else experts.at(index)) else None


def _beside(record: ModelRecord, shape: Shape) -> Beside:
    """What the family has beside attention and feed-forward."""
    altup, encoder = record.altup, record.encoder
    layers = []
    for index in range(shape.layers):
        rows = Rows()
        if record.recurrent and shape.parts(index).recurs:
            rows = record.recurrent.rows(shape.hidden, shape.ff, index)
        if altup:
            rows = Rows(
                (*rows.plain, *altup.plain(shape.hidden)), (*rows.matrices, *altup.matrices(shape.hidden))
            )
        layers.append(rows)
    return Beside(
        layers=tuple(layers),
        outside=(altup.outside(shape) if altup else ()) + (encoder.outside(shape) if encoder else ()),
        kept=encoder.kept(shape) if encoder else (),
        looked_up=(altup.embedding(shape),) if altup else (),
        gated=shape.gated,
        output=encoder is None,
    )


def _counted(record: ModelRecord, shape: Shape) -> ParameterCounts:
    """Matrices and norms; biases are left out, they are below 0.1 %."""
    beside = _beside(record, shape)
    embedding = shape.vocab * shape.hidden
    layers = experts = 0
    matrices = 3 if shape.gated else 2
    for index in range(shape.layers):
        parts, rows = shape.parts(index), beside.of(index)
        layers += elements(*rows.plain, *rows.matrices) + 2 * shape.hidden
        if parts.attends:
            layers += _attention_parameters(record, shape, index)
        routed = _experts_at(record, shape, index)
        if routed:
            experts += routed.count * matrices * shape.hidden * routed.ff
            layers += routed.count * shape.hidden + matrices * shape.hidden * routed.shared_ff
        elif parts.feeds and not _mixes_channels(record):
            layers += matrices * shape.hidden * shape.ff
    output = 0 if shape.tied_embedding or not beside.output else embedding
    layers += shape.hidden + elements(*beside.outside, *beside.kept)
    return ParameterCounts(
        embedding + elements(*beside.looked_up), output, layers, experts, record.other_parameters
    )


def _mixes_channels(record: ModelRecord) -> bool:
    """RWKV's rows have channel mixing in the feed-forward's place."""
    return record.recurrent is not None and record.recurrent.kind == "rwkv7"


def _attention_parameters(record: ModelRecord, shape: Shape, index: int) -> int:
    (heads, kv_heads), hidden = shape.heads_of(index), shape.hidden
    if record.latent is None:
        queries = heads * (2 if record.architecture in GATED_QUERIES else 1)
        return hidden * shape.head_dim * (queries + heads + 2 * kv_heads)
    latent = record.latent
    key = latent.qk_nope_head_dim + latent.qk_rope_head_dim
    queries = latent.q_lora_rank * (hidden + heads * key + 1) if latent.q_lora_rank else hidden * heads * key
    compressed = hidden * (latent.kv_lora_rank + latent.qk_rope_head_dim) + latent.kv_lora_rank
    expanded = latent.kv_lora_rank * heads * (latent.qk_nope_head_dim + latent.v_head_dim)
    return queries + compressed + expanded + heads * latent.v_head_dim * hidden
