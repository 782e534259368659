"""Do the cards reach each other's memory without the way through the host's?

What the driver says of it, by `nvidia-smi topo -p2p r` (may one card read another's memory) and `topo -m` (how they are
joined). Cards joined by NVLink, as two RTX 3090 with a bridge, reach each other. Over PCIe NVIDIA's driver lets
GeForce cards do so never: it says CNS or GNS, whatever the mainboard can.

Forks of the open kernel modules switch that on: tinygrad/open-gpu-kernel-modules up to branch 565, and
aikitoria/open-gpu-kernel-modules for later ones; RTX 3090, 4090 and 5090 are reported to work. They need a BAR1 as
large as the card's memory (Resizable BAR and Above 4G Decoding in the firmware), the IOMMU off or passed through, the
open flavour, and userland of exactly the same version. labctl installs none of them: no distribution signs them, a
kernel update loses them, and a fault in them writes into another card's memory. Whoever wants one sets `nvidia_driver
= {"manage": False}` and looks after the driver. An NVLink bridge is the way without a fork.
Sources: the forks' own issues (tinygrad #13, #29, #30; aikitoria #2, #3, #12), read in 2026. None was run here.
"""

from __future__ import annotations

from dataclasses import dataclass

from labctl.rig.host_report import NVIDIA_SMI
from labctl.rig.nvidia_smi import bonded, matrix

REACHES, JOINED = f"{NVIDIA_SMI} topo -p2p r", f"{NVIDIA_SMI} topo -m"
# The legend of `topo -p2p`.
_MEANING = {
    "CNS": "the chipset does not support it",
    "GNS": "the card does not support it",
    "TNS": "the topology does not support it",
    "NS": "not supported",
    "DR": "switched off in the driver",
    "U": "unknown",
}


@dataclass(frozen=True)
class Pair:
    """Two cards by their numbers. word: the driver's, OK where one reaches the other's memory."""

    first: int
    second: int
    nvlink: bool
    word: str

    def __str__(self) -> str:
        return f"GPU{self.first}-GPU{self.second} {self.word} ({_MEANING.get(self.word, 'reached')})"


def pairs(reaches: str, joined: str) -> tuple[Pair, ...]:
    """Every two cards, by what the two commands print."""
    links = matrix(joined)
    return tuple(
        Pair(first, second, bonded(links.get((first, second), "")), word)
        for (first, second), word in sorted(matrix(reaches).items())
        if first < second
    )
