"""What a language model's catalogue file may state: sizes as config.json names them, and what a family has beside."""

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.models.tensor_rows import Shaped

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
_Size = Annotated[int, Field(gt=0)]
# A: attention, R: recurrence, B: both side by side, each with a feed-forward (or experts) behind it. Small letters
# stand alone: a, r, f (a feed-forward), e (experts).
_LETTERS = "ARBarfe"


class BlockParts(NamedTuple):
    """What one block has. feeds: a feed-forward or experts; experts: of these two, certainly experts."""

    attends: bool
    recurs: bool
    feeds: bool
    experts: bool


class Shape(BaseModel):
    """heads, kv_heads: one number, or one per layer (0: no attention there). ff: likewise.

    pattern: one letter per layer, or for the first few, repeated; null where all have attention and a feed-forward.
    kv_shared_layers: so many last layers read an earlier one's cache. gated: the feed-forward has a gate beside `up`.
    """

    model_config = _STRICT
    layers: _Size
    hidden: _Size
    heads: int | list[int]
    kv_heads: int | list[int]
    head_dim: int = Field(ge=0)
    ff: int = Field(ge=0)
    vocab: _Size
    tied_embedding: bool
    pattern: str | None = None
    kv_shared_layers: int = Field(default=0, ge=0)
    gated: bool = True

    @model_validator(mode="after")
    def _one_entry_per_layer(self) -> "Shape":
        for name, values in (("heads", self.heads), ("kv_heads", self.kv_heads)):
            if isinstance(values, list) and len(values) != self.layers:
                raise ValueError(f"{name} has {len(values)} entries for {self.layers} layers")
        if self.pattern is not None:
            if strange := set(self.pattern) - set(_LETTERS):
                raise ValueError(f"pattern has {''.join(sorted(strange))!r}, letters are {_LETTERS}")
            if not self.pattern or self.layers % len(self.pattern):
                raise ValueError(f"pattern of {len(self.pattern)} does not repeat to {self.layers} layers")
        return self

    def heads_of(self, index: int) -> tuple[int, int]:
        """Query heads and cached heads of one layer."""
        return _at(self.heads, index), _at(self.kv_heads, index)

    def parts(self, index: int) -> BlockParts:
        """What one layer is made of."""
        letter = self.pattern[index % len(self.pattern)] if self.pattern else "A"
        attends = letter in "ABab" and self.heads_of(index)[0] > 0
        return BlockParts(attends, letter in "RBr", letter in "ARBfe", letter == "e")

    @property
    def recurs(self) -> bool:
        """Whether any layer is recurrent."""
        return any(self.parts(index).recurs for index in range(self.layers))


def _at(values: int | list[int], index: int) -> int:
    return values[index] if isinstance(values, list) else values


class ExpertShape(BaseModel):
    """A mixture of experts. dense_layers: so many first layers have an ordinary feed-forward instead.

    every: behind these, each so many-th layer has experts (Jamba: 2).
    """

    model_config = _STRICT
    count: _Size
    used: _Size
    ff: _Size
    shared_ff: int = Field(ge=0)
    dense_layers: int = Field(ge=0)
    every: _Size = 1

    def at(self, index: int) -> bool:
        """Whether a layer with a feed-forward has experts in its place."""
        return index >= self.dense_layers and (index + 1) % self.every == 0


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
    size: _Size
    global_layers: list[int]
    chunked: bool = False


class AltupShape(BaseModel):
    """Gemma 3n: streams per token, an embedding of its own per layer, and a low-rank path beside each layer."""

    model_config = _STRICT
    streams: int = Field(ge=2)
    per_layer: _Size
    laurel_rank: _Size

    def outside(self, shape: Shape) -> tuple[Shaped, ...]:
        """Matrices that belong to no layer, without the embedding per layer."""
        streams, width = self.streams - 1, self.per_layer * shape.layers
        return (
            ("altup_proj.weight", (shape.hidden, shape.hidden, streams)),
            ("altup_unembd_proj.weight", (shape.hidden, shape.hidden, streams)),
            ("per_layer_model_proj.weight", (shape.hidden, width)),
        )

    def embedding(self, shape: Shape) -> Shaped:
        """What every layer looks up per token, on the host."""
        return "per_layer_token_embd.weight", (self.per_layer * shape.layers, shape.vocab)

    def plain(self, hidden: int) -> tuple[Shaped, ...]:
        """Small tensors of one layer."""
        streams = self.streams
        return (
            ("post_norm.weight", (hidden,)),
            ("altup_correct_coef.weight", (streams, streams)),
            ("altup_correct_scale.weight", (hidden,)),
            ("altup_predict_coef.weight", (streams, streams * streams)),
            ("altup_router.weight", (hidden, streams)),
            ("altup_router_norm.weight", (hidden,)),
            ("laurel_post_norm.weight", (hidden,)),
        )

    def matrices(self, hidden: int) -> tuple[Shaped, ...]:
        """Matrices of one layer."""
        return (
            ("inp_gate.weight", (hidden, self.per_layer)),
            ("proj.weight", (self.per_layer, hidden)),
            ("laurel_l.weight", (hidden, self.laurel_rank)),
            ("laurel_r.weight", (self.laurel_rank, hidden)),
        )


class EncoderShape(BaseModel):
    """BERT and its like: nothing is cached, nothing comes after the last layer.

    positions, token_types: rows of these embeddings, 0 where there are none. classifier: a dense layer behind, as a
    reranker has.
    """

    model_config = _STRICT
    positions: int = Field(ge=0)
    token_types: int = Field(ge=0)
    classifier: bool = False

    def kept(self, shape: Shape) -> tuple[Shaped, ...]:
        """Embeddings of positions and token types, which are never quantized."""
        tables = (("position_embd.weight", self.positions), ("token_types.weight", self.token_types))
        return tuple((name, (shape.hidden, rows)) for name, rows in tables if rows)

    def outside(self, shape: Shape) -> tuple[Shaped, ...]:
        """Matrices that belong to no layer."""
        return (("cls.weight", (shape.hidden, shape.hidden)),) if self.classifier else ()


# What a model is for. Images, video and speech have catalogues of their own, and count as uses there.
Use = Literal["chat", "code", "vision", "embedding", "reranking", "reasoning", "image", "video", "speech"]


class FileSize(BaseModel):
    """One published file or set of files."""

    model_config = _STRICT
    quant: str
    bytes: _Size
    source: str = Field(min_length=8)


class OnHub(BaseModel):
    """Where a model lies on the Hugging Face hub.

    published: its maker's own repository; gguf: one with GGUF files of it. None: nobody wrote it down.
    published_as: what the weights of `published` are stored in; None for numbers of 16 or 32 bits.
    """

    model_config = _STRICT
    published: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
    published_as: Literal["fp8", "mxfp4"] | None = None
    gguf: str | None = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")
