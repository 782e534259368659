"""The hardware of one or more hosts, read live or from a rig file: the same value either way."""

from dataclasses import dataclass
from typing import Literal

from labctl.rig.gpu import Gpu

# Kept free on every card: allocators fragment, drivers change. A card's `reserved_mib` overrides it.
LEAST_RESERVED_MIB, RESERVED_SHARE = 1024, 0.03
# The host of cards that were only named.
NAMELESS = "you"
ComputeMode = Literal["default", "exclusive_process", "prohibited"]


# What CUDA sees of a board that the catalogue does not know: the least that was seen (GTX 1650, 0.906).
_VISIBLE_SHARE = 0.9


def visible_mib(gpu: Gpu) -> int:
    """What CUDA sees of a card's memory; cautious where nobody has looked."""
    return gpu.cuda_memory_mib or gpu.cuda_memory_floor_mib or int(_VISIBLE_SHARE * gpu.memory_mib)


def default_reserved_mib(memory_mib: int) -> int:
    """The margin of one card: 1024 MiB or 3 % of its memory, whichever is more (DESIGN's contract)."""
    return max(LEAST_RESERVED_MIB, round(RESERVED_SHARE * memory_mib))


@dataclass(frozen=True)
class Pcie:
    """A card's link. generation: what card and slot reach together (an idle link drops lower); lanes: as negotiated.

    device_generation, device_lanes: what card and slot could do at best.
    """

    generation: int
    lanes: int
    device_generation: int
    device_lanes: int


@dataclass(frozen=True)
class Card:
    """One installed GPU.

    id: its UUID, or HOST/INDEX where a rig file gives none. index: in PCI order. memory_mib: what CUDA sees of it;
    None when nobody knows. foreign_mib: held by processes that are not ours. nvlink: indices of its peers.
    ecc, display: whether error correction is on and a screen is attached; None when nobody knows.
    ecc_pending: what error correction will be after a reboot, where that differs. mig: whether the card is split.
    power_min_watts to power_max_watts: what this board's limit may be set to, which differs between makers.
    """

    id: str
    host: str
    index: int
    gpu: Gpu
    memory_mib: int | None
    reserved_mib: int = LEAST_RESERVED_MIB
    foreign_mib: int = 0
    power_limit_watts: int | None = None
    pci: str | None = None
    nvlink: tuple[int, ...] = ()
    compute_mode: ComputeMode = "default"
    ecc: bool | None = None
    display: bool | None = None
    power_default_watts: int | None = None
    power_min_watts: int | None = None
    power_max_watts: int | None = None
    pcie: Pcie | None = None
    mig: bool | None = None
    ecc_pending: bool | None = None

    @property
    def usable_mib(self) -> int | None:
        """What claims may fill: memory without what others hold and without the margin. None when unknown."""
        if self.memory_mib is None:
            return None
        return max(0, self.memory_mib - self.foreign_mib - self.reserved_mib)


@dataclass(frozen=True)
class Cpu:
    """The processors of a host, together. memory_bandwidth_gbs: 10⁹ bytes a second."""

    model: str | None = None
    sockets: int = 1
    cores: int | None = None
    memory_bandwidth_gbs: float | None = None
    tdp_watts: int | None = None


@dataclass(frozen=True)
class Host:
    """One machine. None: not known. host_watts: what it draws without its cards.

    disk_gib: the size of the file system that holds /var/lib; disk_free_gib: what of it is free now.
    pcie_slots: lanes of each slot that takes a card, the occupied ones too.
    driver, cuda: versions of the NVIDIA driver, and of the newest CUDA that it runs.
    """

    name: str
    cards: tuple[Card, ...]
    cpu: Cpu = Cpu()
    ram_mib: int | None = None
    psu_watts: int | None = None
    disk_gib: int | None = None
    host_watts: int | None = None
    disk_free_gib: int | None = None
    driver: str | None = None
    cuda: str | None = None
    pcie_slots: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Rig:
    """All hosts that a placement may use."""

    name: str
    hosts: tuple[Host, ...]

    @property
    def cards(self) -> tuple[Card, ...]:
        """Every card of every host."""
        return tuple(card for host in self.hosts for card in host.cards)

    def host(self, name: str) -> Host:
        """The host of that name."""
        return next(host for host in self.hosts if host.name == name)
