"""One workload as its person asked for it. Values only; None stands for what was not said."""

from dataclasses import dataclass
from typing import Literal

Expose = str  # no, vpn, lan, or a host name
Method = Literal["full", "lora", "qlora"]
DEFAULT_PRIORITY = 50


@dataclass(frozen=True)
class Amount:
    """So much is wanted, and no less than `least` will do. Written as one number, both are that."""

    want: int
    least: int

    def halved(self) -> tuple[int, ...]:
        """What is tried in turn: the wish, halved down to the least."""
        tried = [self.want]
        while tried[-1] // 2 > self.least:
            tried.append(tried[-1] // 2)
        if tried[-1] > self.least:
            tried.append(self.least)
        return tuple(tried)


@dataclass(frozen=True)
class GpuLimits:
    """Which cards may serve. Empty or None: any. count: cards of one host; exclusive: nothing else on them."""

    count: int | None = None
    models: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    host: str | None = None
    exclusive: bool = False


@dataclass(frozen=True)
class FineTuning:
    """A training job. batch: sequences per card and step; sequence: tokens."""

    method: Method
    batch: int
    sequence: int
    optimizer: str = "adamw"
    rank: int = 16


@dataclass(frozen=True)
class Window:
    """When a job runs, minutes after midnight of the host's own time; `end` before `start` goes past midnight."""

    start: int
    end: int

    def overlaps(self, other: "Window") -> bool:
        """Whether both run at some minute."""
        return bool(self.minutes() & other.minutes())

    def minutes(self) -> frozenset[int]:
        """Every minute of the day in it."""
        day = 24 * 60
        length = (self.end - self.start) % day or day
        return frozenset((self.start + offset) % day for offset in range(length))


@dataclass(frozen=True)
class Workload:
    """One entry of the workloads file.

    quants, kv_types: in order of preference; empty for automatic. vram_mib: declared, the whole claim on each card.
    displaces: those that step aside while this job runs. uses: whose network it joins. line: in the file, for messages.
    format_key: the word that the file has for `quants`.
    """

    name: str
    service: str
    line: int
    model: str | None = None
    quants: tuple[str, ...] = ()
    context: Amount | None = None
    parallel: Amount = Amount(1, 1)
    kv_types: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    frames: int = 1
    priority: int = DEFAULT_PRIORITY
    load: int = 1
    offload: bool = False
    gpus: GpuLimits = GpuLimits()
    apart_from: tuple[str, ...] = ()
    expose: Expose = "no"
    uses: tuple[str, ...] = ()
    training: FineTuning | None = None
    displaces: tuple[str, ...] = ()
    when: Window | None = None
    vram_mib: int | None = None
    ram_mib: int | None = None
    disk_mib: int | None = None
    image: str | None = None
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[str, ...] = ()
    volumes: tuple[tuple[str, str], ...] = ()
    devices: tuple[str, ...] = ()
    data: str | None = None
    format_key: Literal["quant", "dtype"] = "quant"
