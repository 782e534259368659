"""The parts that headers are made of. Tensor names: docs of GGUF and llama.cpp's architecture table."""

from math import prod

from tests.oracle.sparse_gguf import Header, Value


class Blocks:
    """Collects metadata and tensors of one model. Matrices are Q4_K where rows allow it, the output is Q6_K."""

    def __init__(
        self, architecture: str, name: str, n_layers: int, n_embd: int, vocab: int, context: int
    ) -> None:
        self.architecture, self.n_layers, self.n_embd, self.vocab = architecture, n_layers, n_embd, vocab
        self.metadata: dict[str, Value] = {"general.name": name, "tokenizer.ggml.model": "no_vocab"}
        self.tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
        self.keys(vocab_size=vocab, block_count=n_layers, context_length=context, embedding_length=n_embd)
        self.matrix("token_embd.weight", n_embd, vocab)

    def keys(self, **values: Value) -> None:
        """Metadata below the architecture's own prefix; `__` in a name is a dot."""
        for key, value in values.items():
            self.metadata[f"{self.architecture}.{key.replace('__', '.')}"] = value

    def matrix(self, name: str, *shape: int, kind: str = "q4_k") -> None:
        """A weight; Q8_0 or F16 where its rows are no multiple of the block."""
        if shape[0] % 256:
            kind = "q8_0" if shape[0] % 32 == 0 else "f16"
        self.tensors[name] = (kind, shape)

    def plain(self, name: str, *shape: int) -> None:
        """A norm, bias or other small tensor, F32."""
        assert prod(shape) < 2**24
        self.tensors[name] = ("f32", shape)

    def norms(self, layer: int, *names: str, size: int | None = None) -> None:
        """Norm weights of one layer."""
        for name in names:
            self.plain(f"blk.{layer}.{name}.weight", size or self.n_embd)

    def attention(self, layer: int, heads: int, kv_heads: int, head_dim: int, *, bias: bool = False) -> None:
        """Separate query, key, value and output projections."""
        for name, width in (("attn_q", heads), ("attn_k", kv_heads), ("attn_v", kv_heads)):
            self.matrix(f"blk.{layer}.{name}.weight", self.n_embd, width * head_dim)
            if bias:
                self.plain(f"blk.{layer}.{name}.bias", width * head_dim)
        self.matrix(f"blk.{layer}.attn_output.weight", heads * head_dim, self.n_embd)

    def feed_forward(self, layer: int, size: int, *, gated: bool = True, suffix: str = "") -> None:
        """Gate (unless not gated), up and down."""
        for name in ("gate", "up") if gated else ("up",):
            self.matrix(f"blk.{layer}.ffn_{name}{suffix}.weight", self.n_embd, size)
        self.matrix(f"blk.{layer}.ffn_down{suffix}.weight", size, self.n_embd)

    def experts(
        self, layer: int, count: int, size: int, *, kind: str = "q4_k", gated: bool = True
    ) -> None:
        """A router and routed experts."""
        self.plain(f"blk.{layer}.ffn_gate_inp.weight", self.n_embd, count)
        kind = kind if kind == "mxfp4" or self.n_embd % 256 == 0 else "q8_0"
        for name in ("gate", "up") if gated else ("up",):
            self.tensors[f"blk.{layer}.ffn_{name}_exps.weight"] = (kind, (self.n_embd, size, count))
        down = kind if kind == "mxfp4" or size % 256 == 0 else "q8_0"
        self.tensors[f"blk.{layer}.ffn_down_exps.weight"] = (down, (size, self.n_embd, count))

    def header(self, *, tied: bool = False, norm: str = "output_norm") -> Header:
        """What was collected, with the output's norm and, unless tied, its projection."""
        self.plain(f"{norm}.weight", self.n_embd)
        if not tied:
            self.matrix("output.weight", self.n_embd, self.vocab, kind="q6_k")
        return Header(self.architecture, self.metadata, self.tensors)


def attention_keys(blocks: Blocks, heads: int, kv_heads: int, head_dim: int, **more: Value) -> None:
    """The metadata that every attention has."""
    blocks.keys(
        attention__head_count=heads,
        attention__head_count_kv=kv_heads,
        attention__key_length=head_dim,
        attention__value_length=head_dim,
        attention__layer_norm_rms_epsilon=1e-5,
        rope__dimension_count=head_dim,
        **more,
    )
