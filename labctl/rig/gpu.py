"""A model of card, as the catalogue knows it. Every figure has a source in the card's YAML file."""

from dataclasses import dataclass
from typing import Literal

from labctl.rig.power_curve import PowerCurve

Architecture = Literal[
    "kepler", "maxwell", "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell"
]


# pcie: a board for a slot. module: soldered or on a carrier of its own (SXM, Jetson). system: a whole machine.
FormFactor = Literal["pcie", "module", "system"]


@dataclass(frozen=True)
class Price:
    """What one was offered for. used, seen: None where the source does not say; seen: year, or year and month.

    Of a range it is the upper end.
    """

    amount: float
    currency: str
    source: str
    used: bool | None = None
    seen: str | None = None


@dataclass(frozen=True)
class Source:
    """Where figures come from. covers: names of the fields it speaks for. from_: a URL or a document's name."""

    covers: tuple[str, ...]
    from_: str


@dataclass(frozen=True)
class Gpu:
    """One model of card. None: no source was seen.

    memory_mib: on the board, per GPU. cuda_memory_mib: what CUDA sees of it, which is less by what driver and ECC take;
    cuda_memory_floor_mib: at least so much, worked out from measured cards where this one was not.
    unified_memory: the CPU's own memory is the card's. bandwidth_gbs: 10⁹ bytes a second, from the data sheet.
    prices: one per currency at most. gpus_per_board: where one board carries several, each is a card of this model.
    nvlink_gbs: per direction and card. transient_peak_watts: for milliseconds, far over the TDP. power_curve: speed
    kept under power limits, its own or borrowed.
    """

    name: str
    title: str
    aliases: tuple[str, ...]
    architecture: Architecture
    compute_capability: str
    memory_mib: int
    cuda_memory_mib: int | None
    unified_memory: bool
    bandwidth_gbs: float | None
    streaming_multiprocessors: int | None
    boost_mhz: float | None
    fp32_tflops: float | None
    tensor_cores: int | None
    tdp_watts: int | None
    power_min_watts: int | None
    power_max_watts: int | None
    pcie_generation: float | None
    pcie_lanes: int | None
    nvlink: bool | None
    nvlink_gbs: float | None
    transient_peak_watts: int | None
    prices: tuple[Price, ...]
    sources: tuple[Source, ...]
    note: str | None = None
    cuda_memory_floor_mib: int | None = None
    power_curve: PowerCurve | None = None
    form_factor: FormFactor = "pcie"
    gpus_per_board: int = 1

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability as numbers, for comparing: 12.0 is more than 8.9."""
        major, minor = self.compute_capability.split(".")
        return int(major), int(minor)

    @property
    def pcie_gbs(self) -> float | None:
        """What its own slot carries in one direction, GB/s: transfer rate times coding, over eight bits.

        PCI-SIG: 2.5, 5, 8, 16, 32 GT/s for generations 1 to 5; 8b/10b coding up to 2, 128b/130b from 3 on.
        """
        if self.pcie_generation is None or self.pcie_lanes is None:
            return None
        generation = int(self.pcie_generation)
        transfers = {1: 2.5, 2: 5.0, 3: 8.0, 4: 16.0, 5: 32.0}[generation]
        coding = 0.8 if generation <= 2 else 128 / 130
        return transfers * coding / 8 * self.pcie_lanes

    def tensor_tflops(self) -> float | None:
        """Dense FP16 products with FP32 sums, 10¹² operations a second; the FP32 rate without tensor cores.

        Fused multiply-adds per SM and clock: Volta and Turing 512, Turing GeForce 256, GA100 1024, GA10x 512 and
        GeForce 256, Ada and Blackwell as GA10x, Hopper 2048, GB100 4096. They give 71 TFLOP/s for the RTX 3090, 165 for
        the RTX 4090 and 25 for the RTX 3060, as https://osmarks.net/mlrig/ lists from the data sheets.
        """
        if self.streaming_multiprocessors is None or self.boost_mhz is None:
            return self.fp32_tflops
        if not self.tensor_cores:
            return self.fp32_tflops
        return self._tensor_fma() * 2 * self.streaming_multiprocessors * self.boost_mhz * 1e6 / 1e12

    def _tensor_fma(self) -> int:
        if self.architecture == "hopper":
            return 2048
        if self.capability == (8, 0):
            return 1024
        if self.capability[0] == 10:
            return 4096
        consumer = self.title.startswith("GeForce") and self.architecture != "volta"
        # L40 and L20 are cut to the GeForce rate: 181 TFLOP/s on the L40's data sheet, 362 on the L40S's.
        cut = self.name in ("l40", "l20")
        return 256 if consumer or cut else 512


def plain_name(name: str) -> str:
    """A card's name as people, NVML and data sheets write it, comparable: `NVIDIA GeForce RTX 3090` → `rtx 3090`."""
    words = name.lower().replace("-", " ").replace("(", " ").replace(")", " ").split()
    dropped = {
        "nvidia",
        "geforce",
        "tesla",
        "quadro",
        "generation",
        "blackwell",
        "edition",
        "workstation",
        "gpu",
    }
    return " ".join(word for word in words if word not in dropped)
