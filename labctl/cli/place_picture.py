"""What a placement looks like: each card's memory as blocks to scale. Pure values, for the terminal and the page."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from labctl.place.placement import Placement
from labctl.place.power import Power, power
from labctl.place.problem import Workload
from labctl.place.problem_limits import TimeShareSet, Usage, time_share_sets
from labctl.rig.live import obstacles
from labctl.rig.rig import Card, Host

# workload: its claim. kept: room that a job needs more than those that step aside for it. free: for anyone.
# others: processes that are not ours. margin: kept empty on purpose. unused: of a card that nothing may be placed on.
Kind = Literal["workload", "kept", "free", "others", "margin", "unused"]
_MIB_PER_GIB = 1024


@dataclass(frozen=True)
class Block:
    """A part of one card's memory. of_mib: what the workload takes of all its cards, where it has several."""

    kind: Kind
    name: str
    mib: int
    of_mib: int | None = None


@dataclass(frozen=True)
class OtherTime:
    """What is resident instead, while a job runs. offset_mib: where on the card. when: None for at any time."""

    offset_mib: int
    blocks: tuple[Block, ...]
    job: str
    when: str | None
    instead_of: tuple[str, ...]

    @property
    def instead(self) -> str:
        """` instead of chat`; empty where nobody of this card steps aside."""
        return f" instead of {', '.join(self.instead_of)}" if self.instead_of else ""


@dataclass(frozen=True)
class CardPicture:
    """One card, or several that are alike and idle. blocks: together `size_mib`. notes: what keeps work from it.

    unified: it is the host's memory too, and blocks hold what workloads take of either.
    """

    cards: tuple[Card, ...]
    size_mib: int
    blocks: tuple[Block, ...]
    other_times: tuple[OtherTime, ...]
    unified: bool
    notes: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Nothing of ours, of others, and nothing that a person should know."""
        return not self.notes and all(each.kind in ("free", "margin") for each in self.blocks)

    @property
    def free_mib(self) -> int:
        """What no claim, margin or other process holds."""
        return sum(each.mib for each in self.blocks if each.kind == "free")


@dataclass(frozen=True)
class HostPicture:
    """One machine. ram_mib, disk_mib: taken by what is placed; unified memory counts the cards' part too."""

    host: Host
    cards: tuple[CardPicture, ...]
    ram_mib: int
    disk_mib: int
    power: Power


def pictures(placement: Placement) -> tuple[HostPicture, ...]:
    """Every host with its cards, in the rig's order."""
    usage = placement.usage
    return tuple(
        HostPicture(
            host,
            tuple(_grouped(_card(placement, usage, host, card) for card in host.cards)),
            usage.ram_mib[host.name],
            usage.disk_mib[host.name],
            power(host),
        )
        for host in placement.question.rig.hosts
    )


def card_name(card: Card) -> str:
    """HOST/INDEX, whether it has a UUID or not: what a person finds the card by."""
    return f"{card.host}/{card.index}"


def cards_named(cards: Iterable[Card]) -> str:
    """`frame/0–3`, `frame/0, 2`; of several hosts each for itself."""
    ordered = sorted(cards, key=lambda card: (card.host, card.index))
    by_host = groupby(ordered, key=lambda card: card.host)
    return ", ".join(f"{host}/{_indices([card.index for card in here])}" for host, here in by_host)


def gib(mib: int) -> str:
    """With one decimal and without its unit: 15.2."""
    return f"{mib / _MIB_PER_GIB:.1f}"


def window(workload: Workload) -> str | None:
    """`01:00–07:00`; None for what runs at any time."""
    if workload.window is None:
        return None
    return "–".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in workload.window)


def _indices(found: list[int]) -> str:
    """Runs of three and more as a span."""
    runs: list[list[int]] = []
    for index in found:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    spans = (f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
    return ", ".join(spans)


def _grouped(cards: Iterable[CardPicture]) -> Iterator[CardPicture]:
    """Idle cards of one kind beside each other as one picture: seven times nothing is not seven times as much."""

    def alike(each: CardPicture) -> object:
        (card,) = each.cards
        return (card.gpu.name, each.blocks, card.power_limit_watts) if each.idle else card.id

    for _, group in groupby(cards, key=alike):
        first, *rest = group
        cards_of_all = (*first.cards, *(card for each in rest for card in each.cards))
        yield CardPicture(
            cards_of_all, first.size_mib, first.blocks, first.other_times, first.unified, first.notes
        )


def _card(placement: Placement, usage: Usage, host: Host, card: Card) -> CardPicture:
    pool = card.gpu.unified_memory and len(host.cards) == 1
    placed = placement.placed
    amounts: dict[str, tuple[int, int | None]] = {}
    for name, option in placed.items():
        ram_mib = option.ram_mib if pool and option.host == host.name else 0
        if card.id in option.claims_mib or ram_mib:
            whole = sum(option.claims_mib.values()) if len(option.claims_mib) > 1 else None
            amounts[name] = (option.claims_mib.get(card.id, 0) + ram_mib, whole)
    memory = card.memory_mib or 0
    size = max(memory, host.ram_mib or 0) if pool else memory
    blocks, other_times = _claims(placement, amounts)
    others = min(card.foreign_mib, size)
    left = size - sum(each.mib for each in blocks) - others
    rest = [Block("unused", "not used", left), Block("others", "other processes", others)]
    if blocks or not (card.mig or card.compute_mode != "default"):
        asked = next(each for each in placement.problem.cards if each.id == card.id)
        free = min(left, max(0, usage.free_mib(asked)))
        rest = [Block("free", "free", free), rest[1], Block("margin", "margin", left - free)]
    return CardPicture(
        (card,),
        size,
        tuple(each for each in (*blocks, *rest) if each.mib > 0),
        tuple(other_times),
        pool,
        obstacles(card),
    )


def _claims(
    placement: Placement, amounts: Mapping[str, tuple[int, int | None]]
) -> tuple[list[Block], list[OtherTime]]:
    """Those that share time first, one set after another, so that what is instead stands right below them."""
    workloads = {each.name: each for each in placement.problem.workloads}
    blocks: list[Block] = []
    times: list[OtherTime] = []
    shared: set[str] = set()
    for each in time_share_sets(placement.problem.workloads):
        members = {name: amounts[name] for name in each.members if name in amounts}
        shared |= set(members)
        if members:
            offset = sum(block.mib for block in blocks)
            found, instead = _room(each, members, workloads, offset)
            blocks += found
            times += instead
    blocks += _blocks({name: amount for name, amount in amounts.items() if name not in shared})
    return blocks, times


def _room(
    each: TimeShareSet,
    members: Mapping[str, tuple[int, int | None]],
    workloads: Mapping[str, Workload],
    offset_mib: int,
) -> tuple[list[Block], list[OtherTime]]:
    """The room of one set: who has it most of the time, and who has it while each of its jobs runs."""

    def of(names: Iterable[str]) -> dict[str, tuple[int, int | None]]:
        return {name: members[name] for name in names if name in members}

    room_mib = max(sum(mib for mib, _ in of(state).values()) for state in each.states)
    jobs = [workloads[name] for name in sorted(members) if workloads[name].displaces]
    resident = of(set(members) - {job.name for job in jobs})
    blocks = _blocks(resident)
    spare = room_mib - sum(block.mib for block in blocks)
    if spare:
        names = " or ".join(job.name for job in jobs if members[job.name][0])
        blocks.append(Block("kept", f"for {names}", spare))
    times = []
    for job in jobs:
        stays = of(set(resident) - set(job.displaces))
        gone = tuple(sorted(set(job.displaces) & set(resident)))
        there = (*_blocks(stays), *_blocks(of([job.name])))
        times.append(OtherTime(offset_mib, there, job.name, window(job), gone))
    return blocks, times


def _blocks(amounts: Mapping[str, tuple[int, int | None]]) -> list[Block]:
    """The largest first."""
    ordered = sorted(amounts.items(), key=lambda each: (-each[1][0], each[0]))
    return [Block("workload", name, mib, of_mib) for name, (mib, of_mib) in ordered if mib]
