"""Recurrent layers as a catalogue file names their sizes: the state that each keeps, and the tensors it is made of.

Tensor names and shapes as llama.cpp's conversion writes them (gguf-py/gguf/constants.py, src/llama-model.cpp).
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from labctl.models.layer import Recurrent
from labctl.models.tensor_rows import Rows, Shaped

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
_Size = Annotated[int, Field(gt=0)]


class MambaShape(BaseModel):
    """Mamba 1: a state of its own for every channel. rank: of the step size (dt_rank)."""

    model_config = _STRICT
    kind: Literal["mamba"]
    inner: _Size
    state: _Size
    rank: _Size
    conv: _Size = 4

    def layer(self, hidden: int) -> Recurrent:
        """What one layer keeps per sequence."""
        del hidden
        return Recurrent("mamba", (self.conv - 1) * self.inner, self.state * self.inner)

    def rows(self, hidden: int, ff: int, index: int) -> Rows:
        """One layer's tensors."""
        del ff, index
        inner, state, rank = self.inner, self.state, self.rank
        return Rows(
            (
                ("ssm_conv1d.weight", (self.conv, inner)),
                ("ssm_conv1d.bias", (inner,)),
                ("ssm_dt_norm.weight", (rank,)),
                ("ssm_b_norm.weight", (state,)),
                ("ssm_c_norm.weight", (state,)),
                ("ssm_dt.bias", (inner,)),
                ("ssm_a", (state, inner)),
                ("ssm_d", (inner,)),
            ),
            (
                ("ssm_in.weight", (hidden, 2 * inner)),
                ("ssm_x.weight", (inner, rank + 2 * state)),
                ("ssm_dt.weight", (rank, inner)),
                ("ssm_out.weight", (inner, hidden)),
            ),
        )


class Mamba2Shape(BaseModel):
    """Mamba 2: heads share what they take in and give out by groups. state: per channel."""

    model_config = _STRICT
    kind: Literal["mamba2"]
    inner: _Size
    state: _Size
    heads: _Size
    groups: _Size
    conv: _Size = 4

    def layer(self, hidden: int) -> Recurrent:
        """What one layer keeps per sequence."""
        del hidden
        return Recurrent("mamba2", (self.conv - 1) * self._mixed, self.state * self.inner)

    @property
    def _mixed(self) -> int:
        return self.inner + 2 * self.groups * self.state

    def rows(self, hidden: int, ff: int, index: int) -> Rows:
        """One layer's tensors."""
        del ff, index
        return Rows(
            (
                ("ssm_conv1d.weight", (self.conv, self._mixed)),
                ("ssm_conv1d.bias", (self._mixed,)),
                ("ssm_dt.bias", (self.heads,)),
                ("ssm_a", (1, self.heads)),
                ("ssm_d", (1, self.heads)),
                ("ssm_norm.weight", (self.inner // self.groups, self.groups)),
            ),
            (
                ("ssm_in.weight", (hidden, self.inner + self._mixed + self.heads)),
                ("ssm_out.weight", (self.inner, hidden)),
            ),
        )


class DeltaNetShape(BaseModel):
    """Gated delta net (Qwen3-Next). heads: of values; groups: heads of keys; state: width of a head."""

    model_config = _STRICT
    kind: Literal["gated-delta-net"]
    state: _Size
    heads: _Size
    groups: _Size
    conv: _Size = 4

    @property
    def _inner(self) -> int:
        return self.heads * self.state

    @property
    def _mixed(self) -> int:
        return self._inner + 2 * self.groups * self.state

    def layer(self, hidden: int) -> Recurrent:
        """What one layer keeps per sequence."""
        del hidden
        return Recurrent("gated-delta-net", (self.conv - 1) * self._mixed, self.state * self._inner)

    def rows(self, hidden: int, ff: int, index: int) -> Rows:
        """One layer's tensors."""
        del ff, index
        return Rows(
            (
                ("ssm_conv1d.weight", (self.conv, self._mixed)),
                ("ssm_dt.bias", (self.heads,)),
                ("ssm_a", (self.heads,)),
                ("ssm_norm.weight", (self.state,)),
            ),
            (
                ("attn_qkv.weight", (hidden, self._mixed)),
                ("attn_gate.weight", (hidden, self._inner)),
                ("ssm_ba.weight", (hidden, 2 * self.heads)),
                ("ssm_out.weight", (self._inner, hidden)),
            ),
        )


class ShortConvShape(BaseModel):
    """LFM2's gated short convolution. conv: tokens it sees, this one included (conv_L_cache)."""

    model_config = _STRICT
    kind: Literal["shortconv"]
    conv: _Size = 3

    def layer(self, hidden: int) -> Recurrent:
        """What one layer keeps per sequence."""
        return Recurrent("shortconv", hidden * (self.conv - 1), 0)

    def rows(self, hidden: int, ff: int, index: int) -> Rows:
        """One layer's tensors."""
        del ff, index
        return Rows(
            (("shortconv.conv.weight", (self.conv, hidden)),),
            (
                ("shortconv.in_proj.weight", (hidden, 3 * hidden)),
                ("shortconv.out_proj.weight", (hidden, hidden)),
            ),
        )


class Rwkv7Shape(BaseModel):
    """RWKV-7: time mixing with low-rank corrections, then channel mixing in the place of a feed-forward."""

    model_config = _STRICT
    kind: Literal["rwkv7"]
    head_size: _Size
    decay_rank: _Size
    iclr_rank: _Size
    value_rank: _Size
    gate_rank: _Size

    def layer(self, hidden: int) -> Recurrent:
        """What one layer keeps per sequence: two shifted tokens, and a square per head."""
        return Recurrent("rwkv7", 2 * hidden, hidden * self.head_size)

    def rows(self, hidden: int, ff: int, index: int) -> Rows:
        """One layer's tensors, channel mixing included."""
        plain: list[Shaped] = [
            (f"{norm}.{part}", (hidden,))
            for norm in ("attn_norm_2", "time_mix_ln")
            for part in ("weight", "bias")
        ]
        plain += [("attn_norm.bias", (hidden,)), ("time_mix_lerp_fused.weight", (hidden, 1, 1, 6))]
        plain += [(f"time_mix_{name}.weight", (hidden,)) for name in ("w0", "a0", "v0", "k_k", "k_a", "r_k")]
        plain.append(("channel_mix_lerp_k.weight", (hidden, 1, 1)))
        matrices: list[Shaped] = []
        # The first layer's values are mixed with nothing, yet the file has the matrices, at the learning rate's rank.
        values = self.value_rank if index else self.iclr_rank
        for name, rank in (
            ("w", self.decay_rank),
            ("a", self.iclr_rank),
            ("v", values),
            ("g", self.gate_rank),
        ):
            matrices.append((f"time_mix_{name}1.weight", (hidden, rank)))
            matrices.append((f"time_mix_{name}2.weight", (rank, hidden)))
        matrices += [
            (f"time_mix_{name}.weight", (hidden, hidden)) for name in ("key", "value", "receptance", "output")
        ]
        matrices += [("channel_mix_key.weight", (hidden, ff)), ("channel_mix_value.weight", (ff, hidden))]
        return Rows(tuple(plain), tuple(matrices))


RecurrentShape = Annotated[
    MambaShape | Mamba2Shape | DeltaNetShape | ShortConvShape | Rwkv7Shape, Field(discriminator="kind")
]
