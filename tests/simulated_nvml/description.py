"""A host of a rig as the flat text that the simulated driver reads."""

from collections.abc import Iterator, Mapping, Sequence

from labctl.rig.reported import Process
from labctl.rig.rig import Card, Host, Pcie

# NVML_DEVICE_ARCH_* and NVML_BRAND_*, https://docs.nvidia.com/deploy/nvml-api/.
_ARCHITECTURES = ("kepler", "maxwell", "pascal", "volta", "turing", "ampere", "ada", "hopper", "blackwell")
_BRANDS = {"GeForce": 5, "Quadro": 1, "Tesla": 2}
_COMPUTE_MODES = {"default": 0, "prohibited": 2, "exclusive_process": 3}
_LINKS_PER_BRIDGE = 4  # an RTX 3090's NVLink bridge


def uuid_of(number: int) -> str:
    """A UUID in the form that NVIDIA's have, the same on every run."""
    return f"GPU-51b01a7e-0000-4000-8000-{number:012x}"


def describe(
    host: Host,
    processes: Mapping[int, Sequence[Process]] | None = None,
    *,
    driver: str = "580.95.05",
    cuda: int = 13000,
    nodes: bool = False,
) -> str:
    """The text. processes: by card, beside which `foreign_mib` of each card is held by nobody in particular.

    nodes: a card is there for whoever may open its /dev/nvidiaN, as the real driver's are; else for all.
    """
    lines = ["# a simulated driver's cards", f"driver {driver}", f"cuda {cuda}", f"nodes {int(nodes)}"]
    for card in host.cards:
        lines += [f"{key} {value}" for key, value in _card(card, (processes or {}).get(card.index, ()))]
    return "\n".join(lines) + "\n"


def _card(card: Card, processes: Sequence[Process]) -> Iterator[tuple[str, object]]:
    gpu = card.gpu
    tdp = gpu.tdp_watts or 250
    yield "card", card.index
    yield "name", "NVIDIA GB10" if gpu.unified_memory else f"NVIDIA {gpu.title}"
    yield "uuid", card.id if card.id.startswith("GPU-") else uuid_of(card.index)
    yield "bus", card.pci or f"00000000:{16 * (card.index + 1):02X}:00.0"
    yield "brand", next((number for word, number in _BRANDS.items() if word in gpu.title), 0)
    yield "architecture", 2 + _ARCHITECTURES.index(gpu.architecture)
    yield "capability_major", gpu.capability[0]
    yield "capability_minor", gpu.capability[1]
    if not gpu.unified_memory:
        yield "total_mib", gpu.memory_mib
        yield "reserved_mib", gpu.memory_mib - (card.memory_mib or gpu.memory_mib)
        yield "other_used_mib", card.foreign_mib
        for key, watts in (
            ("power_mw", 25),
            ("default_mw", card.power_default_watts or tdp),
            ("limit_mw", card.power_limit_watts or tdp),
            ("min_mw", card.power_min_watts or gpu.power_min_watts or 100),
            ("max_mw", card.power_max_watts or gpu.power_max_watts or tdp),
        ):
            yield key, 1000 * watts
    generation, lanes = int(gpu.pcie_generation or 3), gpu.pcie_lanes or 16
    link = card.pcie or Pcie(generation, lanes, generation, lanes)
    yield "generation", link.generation
    yield "device_generation", link.device_generation
    yield "lanes", link.lanes
    yield "device_lanes", link.device_lanes
    yield "idle_generation", 1
    yield "temperature", 35 + card.index
    yield "fan", 30
    yield "utilization", 0
    yield "compute_mode", _COMPUTE_MODES[card.compute_mode]
    for key, switch in (("ecc", card.ecc), ("ecc_pending", card.ecc_pending), ("mig", card.mig)):
        if switch is not None:
            yield key, int(switch)
    yield "display", int(bool(card.display))
    for peer in card.nvlink:
        for _ in range(_LINKS_PER_BRIDGE):
            yield "link", peer
    for each in processes:
        memory = -1 if each.memory_mib is None else each.memory_mib
        yield "process", f"{each.pid} {memory} {each.kind} {each.name}"
