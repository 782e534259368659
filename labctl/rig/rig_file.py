"""A rig file as a `Rig`. Reading the file and the GPU catalogue is the caller's."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labctl.errors import BadInput
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, ComputeMode, Cpu, Host, Pcie, Rig, default_reserved_mib, visible_mib
from labctl.rig.unlisted import unlisted
from labctl.yaml_document import read

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_VERSION = r"^\d+(\.\d+){1,3}$"
_UUID = r"^GPU-[0-9a-fA-F-]{8,}$"
_CAPABILITY = r"^\d{1,2}\.\d$"
_FORMS = {
    _NAME: "letters, digits, dots, hyphens and underscores",
    _VERSION: 'numbers and dots in quotes, as "580.95.05"',
    _UUID: "GPU-…, as `labctl gpus` shows it",
    _CAPABILITY: 'two numbers in quotes, as "8.6"',
}
# More than any board takes; a typo in `count` must not make a million cards.
_MOST_CARDS = 64
_MOST_MIB = 16 * 1024 * 1024
_Mib = Annotated[int, Field(ge=0, le=_MOST_MIB)]
_Lanes = Annotated[int, Field(ge=1, le=16)]
Pair = Annotated[list[int], Field(min_length=2, max_length=2)]


class _Pcie(BaseModel):
    """What card and slot reach together; `device_…` what they could, where that is more."""

    model_config = _STRICT
    generation: int = Field(ge=1, le=9)
    lanes: int = Field(ge=1, le=32)
    device_generation: int | None = Field(default=None, ge=1, le=9)
    device_lanes: int | None = Field(default=None, ge=1, le=32)


class _Cards(BaseModel):
    """One line of `gpus`: so many equal cards. nvlink: pairs of positions within this line.

    compute_capability, board_memory_mib and unified_memory describe a model that the catalogue does not know.
    """

    model_config = _STRICT
    model: str
    count: int = Field(default=1, ge=1, le=_MOST_CARDS)
    uuid: str | None = Field(default=None, pattern=_UUID)
    pci: str | None = None
    compute_capability: str | None = Field(default=None, pattern=_CAPABILITY)
    board_memory_mib: _Mib | None = None
    unified_memory: bool = False
    memory_mib: _Mib | None = Field(default=None, gt=0)
    memory_unknown: bool = False
    reserved_mib: _Mib | None = None
    foreign_mib: _Mib = 0
    power_limit_watts: int | None = Field(default=None, gt=0)
    nvlink: list[Pair] = []
    compute_mode: ComputeMode = "default"
    ecc: bool | None = None
    display: bool | None = None
    power_default_watts: int | None = Field(default=None, gt=0)
    power_min_watts: int | None = Field(default=None, ge=0)
    power_max_watts: int | None = Field(default=None, gt=0)
    pcie: _Pcie | None = None
    mig: bool | None = None
    ecc_pending: bool | None = None

    @model_validator(mode="after")
    def _a_stranger_is_described(self) -> "_Cards":
        if (self.compute_capability is None) != (self.board_memory_mib is None):
            raise ValueError(
                "a card outside the catalogue needs both compute_capability and board_memory_mib"
            )
        if self.compute_capability is None and self.unified_memory:
            raise ValueError("unified_memory describes a card outside the catalogue, with compute_capability")
        if self.memory_unknown and self.memory_mib is not None:
            raise ValueError("memory_mib and memory_unknown: only one of them can be meant")
        return self

    @model_validator(mode="after")
    def _one_name_for_one_card(self) -> "_Cards":
        if self.count > 1 and (self.uuid or self.pci):
            raise ValueError("uuid and pci name one card: give each its own line, without count")
        for left, right in self.nvlink:
            if not (0 <= left < self.count and 0 <= right < self.count and left != right):
                raise ValueError(f"nvlink: [{left}, {right}] are not two of the {self.count} cards here")
        return self


class _Cpu(BaseModel):
    model_config = _STRICT
    model: str | None = None
    sockets: int = Field(default=1, ge=1, le=8)
    cores: int | None = Field(default=None, gt=0)
    memory_bandwidth_gbs: float | None = Field(default=None, gt=0, le=100_000)
    tdp_watts: int | None = Field(default=None, gt=0)


class _Host(BaseModel):
    """nvlink: pairs of card numbers, counted over all lines of `gpus`.

    pcie_slots: lanes of each slot that takes a card, occupied or not, as [16, 4]; `labctl advise` goes by it.
    """

    model_config = _STRICT
    name: str = Field(pattern=_NAME)
    gpus: list[_Cards] = []
    nvlink: list[Pair] = []
    ram_gib: float | None = Field(default=None, gt=0, le=_MOST_MIB / 1024)
    cpu: _Cpu | None = None
    psu_watts: int | None = Field(default=None, gt=0)
    host_watts: int | None = Field(default=None, gt=0)
    disk_gib: int | None = Field(default=None, gt=0)
    disk_free_gib: int | None = Field(default=None, ge=0)
    driver: str | None = Field(default=None, pattern=_VERSION)
    cuda: str | None = Field(default=None, pattern=_VERSION)
    pcie_slots: list[_Lanes] | None = Field(default=None, max_length=_MOST_CARDS)

    @model_validator(mode="after")
    def _links_join_cards(self) -> "_Host":
        count = sum(line.count for line in self.gpus)
        for left, right in self.nvlink:
            if not (0 <= left < count and 0 <= right < count and left != right):
                raise ValueError(f"nvlink: [{left}, {right}] are not two of this host's {count} cards")
        return self

    @model_validator(mode="after")
    def _every_card_has_a_slot(self) -> "_Host":
        count = sum(line.count for line in self.gpus)
        # A machine whose GPU is soldered has none.
        if self.pcie_slots and len(self.pcie_slots) < count:
            raise ValueError(
                f"pcie_slots: {len(self.pcie_slots)} slots for {count} cards; name every slot, also those on risers"
            )
        return self


class _Rig(BaseModel):
    model_config = _STRICT
    name: str = Field(pattern=_NAME)
    hosts: list[_Host] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> "_Rig":
        names = [host.name for host in self.hosts]
        uuids = [line.uuid for host in self.hosts for line in host.gpus if line.uuid]
        for what, given in (("host", names), ("uuid", uuids)):
            if twice := sorted({each for each in given if given.count(each) > 1}):
                raise ValueError(f"two with the same {what}: {', '.join(twice)}")
        return self


def parse(text: str, where: str, find_gpu: Callable[[str], Gpu]) -> Rig:
    """The rig that a file describes. find_gpu: the catalogue's card of a name.

    Raises BadInput with file, line and key, also for a card that the catalogue does not know.
    """
    written = read(text, where, _Rig, _FORMS)
    return Rig(written.name, tuple(_host(host, where, find_gpu) for host in written.hosts))


def _host(host: _Host, where: str, find_gpu: Callable[[str], Gpu]) -> Host:
    cards: list[Card] = []
    links = [(left, right) for left, right in host.nvlink]
    for number, line in enumerate(host.gpus):
        first = len(cards)
        links += [(first + left, first + right) for left, right in line.nvlink]
        try:
            gpu = _described(line) or find_gpu(line.model)
        except BadInput as unknown:
            unknown.where = f"{where}: hosts.{host.name}.gpus[{number}].model"
            raise
        cards += [_card(host.name, first + offset, line, gpu) for offset in range(line.count)]
    cpu = host.cpu or _Cpu()
    return Host(
        name=host.name,
        cards=_in_pci_order([_with_peers(card, links) for card in cards]),
        cpu=Cpu(cpu.model, cpu.sockets, cpu.cores, cpu.memory_bandwidth_gbs, cpu.tdp_watts),
        ram_mib=None if host.ram_gib is None else int(1024 * host.ram_gib),
        psu_watts=host.psu_watts,
        disk_gib=host.disk_gib,
        host_watts=host.host_watts,
        disk_free_gib=host.disk_free_gib,
        driver=host.driver,
        cuda=host.cuda,
        pcie_slots=None if host.pcie_slots is None else tuple(host.pcie_slots),
    )


def _in_pci_order(cards: list[Card]) -> tuple[Card, ...]:
    """As CUDA counts them with CUDA_DEVICE_ORDER=PCI_BUS_ID, where every card says its slot; else as written."""
    if not all(card.pci for card in cards):
        return tuple(cards)
    order = sorted(
        cards, key=lambda card: [int(part, 16) for part in re.findall(r"[0-9a-fA-F]+", card.pci or "")][-3:]
    )
    place = {card.index: index for index, card in enumerate(order)}
    return tuple(
        replace(
            card,
            index=index,
            id=f"{card.host}/{index}" if card.id == f"{card.host}/{card.index}" else card.id,
            nvlink=tuple(sorted(place[peer] for peer in card.nvlink)),
        )
        for index, card in enumerate(order)
    )


def _described(line: _Cards) -> Gpu | None:
    """The card of a line that describes one itself."""
    if line.compute_capability is None or line.board_memory_mib is None:
        return None
    return unlisted(
        line.model, line.compute_capability, line.board_memory_mib, unified_memory=line.unified_memory
    )


def _card(host: str, index: int, line: _Cards, gpu: Gpu) -> Card:
    memory_mib = None if line.memory_unknown else line.memory_mib or visible_mib(gpu)
    reserved = default_reserved_mib(memory_mib or 0) if line.reserved_mib is None else line.reserved_mib
    return Card(
        id=line.uuid or f"{host}/{index}",
        host=host,
        index=index,
        gpu=gpu,
        memory_mib=memory_mib,
        reserved_mib=reserved,
        foreign_mib=line.foreign_mib,
        power_limit_watts=line.power_limit_watts,
        pci=line.pci,
        compute_mode=line.compute_mode,
        ecc=line.ecc,
        display=line.display,
        power_default_watts=line.power_default_watts,
        power_min_watts=line.power_min_watts,
        power_max_watts=line.power_max_watts,
        pcie=_pcie(line.pcie),
        mig=line.mig,
        ecc_pending=line.ecc_pending,
    )


def _pcie(link: _Pcie | None) -> Pcie | None:
    if link is None:
        return None
    return Pcie(
        link.generation,
        link.lanes,
        link.device_generation or link.generation,
        link.device_lanes or link.lanes,
    )


def _with_peers(card: Card, links: list[tuple[int, int]]) -> Card:
    """The card with the indices of those it is linked to."""
    peers = {right for left, right in links if left == card.index}
    peers |= {left for left, right in links if right == card.index}
    return replace(card, nvlink=tuple(sorted(peers)))
