"""Rows of a tensor table before they have a size: names and shapes, innermost dimension first."""

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

Shaped = tuple[str, tuple[int, ...]]


class Rows(NamedTuple):
    """Tensors of one layer. plain: kept in F32; matrices: in the file's own format."""

    plain: tuple[Shaped, ...] = ()
    matrices: tuple[Shaped, ...] = ()


@dataclass(frozen=True)
class Beside:
    """What a family has beside attention and feed-forward.

    layers: by layer, empty for none. outside: matrices of no layer. looked_up: embeddings besides the vocabulary's.
    gated: the feed-forward has a gate. output: something is made of the last layer's state (not so in encoders).
    """

    layers: tuple[Rows, ...] = ()
    outside: tuple[Shaped, ...] = ()
    looked_up: tuple[Shaped, ...] = ()
    gated: bool = True
    output: bool = True

    def of(self, index: int) -> Rows:
        """One layer's."""
        return self.layers[index] if self.layers else Rows()


def elements(*rows: Shaped) -> int:
    """How many numbers these hold."""
    return sum(prod(shape) for _, shape in rows)
