"""A plan as a value: everything that rendering and applying need, and nothing that changes by itself.

It holds hardware, not usage: neither what other processes hold, nor power limits, nor free disk, no time of day and no
secret. So the same question on the same machine gives the same plan, and a plan says which machine it was made for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

_STRICT = ConfigDict(extra="forbid", strict=True)
Protocol = Literal["tcp", "udp"]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Mib = Annotated[int, Field(ge=0)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")]


@dataclass(frozen=True)
class PlannedCard:
    """One installed GPU. memory_mib: as CUDA sees it; of unified memory the host's, in whole GiB. None: not known."""

    __pydantic_config__ = _STRICT
    id: str
    model: str
    memory_mib: Mib | None


@dataclass(frozen=True)
class PlannedHost:
    """One machine. cards: in PCI order. ram_gib: rounded, for a kernel's update moves it by a few MiB."""

    __pydantic_config__ = _STRICT
    name: str
    cards: tuple[PlannedCard, ...] = ()
    ram_gib: int | None = None


@dataclass(frozen=True)
class PlannedRig:
    """The hardware that a plan is for.

    fingerprint: of the hosts below, whatever the rig is called. bound: every card goes by its UUID, so a plan can be
    applied; cards of a rig file without UUIDs are called HOST/INDEX.
    """

    __pydantic_config__ = _STRICT
    name: str
    fingerprint: str
    bound: bool
    hosts: tuple[PlannedHost, ...]


@dataclass(frozen=True)
class CardClaim:
    """What a workload takes of one card. position: among its cards in PCI order, what `-ts` and ranks count by.

    parts_mib: expected, by part; None where the claim was declared, or is all that an engine finds free.
    kv_cache_bytes: of the engine that is told them (vLLM), for it does not start with fewer than its requests may take.
    """

    __pydantic_config__ = _STRICT
    card: str
    position: Annotated[int, Field(ge=0)]
    low_mib: Mib
    expected_mib: Mib
    high_mib: Mib
    parts_mib: Mapping[str, Mib] | None = None
    kv_cache_bytes: Annotated[int, Field(ge=0)] | None = None


@dataclass(frozen=True)
class PlannedPort:
    """A port of the container and the host's port that leads to it."""

    __pydantic_config__ = _STRICT
    container: PortNumber
    host: PortNumber
    protocol: Protocol = "tcp"


@dataclass(frozen=True)
class PlannedWorkload:
    """One workload that has a place, and how it is run.

    model: as the person wrote it. variant: the settings that hold the claim. rank: how far down the list of wishes.
    ram_mib, disk_mib: of the host. vision: what is loaded beside the model. elastic: its engine fills what it finds.
    displaces, when: a job, what steps aside for it, and when it runs, by the host's own time.
    image to data: what the person overrides; an empty one leaves it to the catalogue.
    secrets: what of env and args is left out here because it must not be read (`env.API_KEY`, `args[1]`).
    """

    __pydantic_config__ = _STRICT
    service: str
    host: str
    cards: tuple[CardClaim, ...] = ()
    model: str | None = None
    vision: str | None = None
    variant: Mapping[str, Any] = field(default_factory=dict)
    rank: Annotated[int, Field(ge=0)] = 0
    tokens_per_second: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    ram_mib: Mib = 0
    disk_mib: Mib = 0
    elastic: bool = False
    exclusive: bool = False
    training: Mapping[str, int | str] | None = None
    displaces: tuple[str, ...] = ()
    when: Clock | None = None
    uses: tuple[str, ...] = ()
    expose: str = "no"
    ports: tuple[PlannedPort, ...] = ()
    image: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    data: str | None = None
    secrets: tuple[str, ...] = ()

    @property
    def card_ids(self) -> tuple[str, ...]:
        """Of its cards, in PCI order."""
        return tuple(claim.card for claim in self.cards)


@dataclass(frozen=True)
class Unplaced:
    """A workload without a place. data_host: where its data lies, if it ran before."""

    __pydantic_config__ = _STRICT
    service: str
    data_host: str | None = None


@dataclass(frozen=True)
class PlannedTier:
    """One tier of the objective: what was reached, and what could not be beaten."""

    __pydantic_config__ = _STRICT
    value: int | tuple[int, ...] | None
    bound: int | tuple[int, ...] | None


@dataclass(frozen=True)
class Solved:
    """What the solver said when this placement was found."""

    __pydantic_config__ = _STRICT
    optimal: bool
    tiers: tuple[PlannedTier, ...]


@dataclass(frozen=True)
class Plan:
    """What goes where on which machine, and how. workloads, unplaced: by name."""

    __pydantic_config__ = _STRICT
    rig: PlannedRig
    workloads: Mapping[str, PlannedWorkload]
    unplaced: Mapping[str, Unplaced]
    solver: Solved

    @property
    def places(self) -> Mapping[str, tuple[str, int]]:
        """Host and index in PCI order, by card."""
        return {
            card.id: (host.name, index) for host in self.rig.hosts for index, card in enumerate(host.cards)
        }
