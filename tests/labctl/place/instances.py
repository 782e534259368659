"""Generated placement problems: heterogeneous hosts, counts, pins, time-share sets, variants, incumbents."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random

from labctl.place.problem import Card, Host, Incumbent, Option, Problem, Workload

# usable MiB, and speed against the first.
MODELS = ((23_000, 10), (11_000, 5), (7_000, 3), (31_000, 18), (15_000, 6))


@dataclass(frozen=True)
class Size:
    """How large a problem to make. cards: the most per host. variants: the most per workload. fill: 1 is about full."""

    hosts: int
    cards: int
    workloads: int
    variants: int = 3
    fill: float = 1.1
    incumbents: float = 0.3
    special: float = 0.2


TINY = Size(hosts=2, cards=2, workloads=4, variants=2)
SMALL = Size(hosts=2, cards=3, workloads=7)
MEDIUM = Size(hosts=3, cards=3, workloads=11)
BENCH = Size(hosts=1, cards=8, workloads=40, variants=4, incumbents=0.0, special=0.05)
LARGE = Size(hosts=8, cards=4, workloads=150, variants=4, incumbents=0.0, special=0.05)


@dataclass(frozen=True)
class _Variant:
    rank: int
    claim_mib: int
    speed: int | None


def instance(seed: int, size: Size, *, exact: bool = False) -> Problem:
    """The same problem for the same seed and size. exact: as many hosts and cards as size says, not up to that."""
    random = Random(f"{seed} {size}")
    hosts, cards = _rig(random, size, exact=exact)
    mean_mib = sum(card.usable_mib for card in cards) * size.fill / size.workloads
    workloads = _workloads(random, size, hosts, cards)
    options = [
        option
        for workload in workloads
        for option in _options(random, size, workload, hosts, cards, mean_mib)
    ]
    problem = Problem(hosts, cards, workloads, tuple(options), rebalance=random.random() < 0.1)
    return _with_incumbents(random, size, problem)


def _rig(random: Random, size: Size, *, exact: bool) -> tuple[tuple[Host, ...], tuple[Card, ...]]:
    hosts, cards = [], []
    for number in range(size.hosts if exact else random.randint(1, size.hosts)):
        name = f"host{number}"
        unified = not exact and random.random() < 0.1
        count = 1 if unified else size.cards if exact else random.randint(1, size.cards)
        usable_mib, _ = random.choice(MODELS)
        alike = random.random() < 0.7
        linked = random.random() < 0.5
        for index in range(count):
            peer = index ^ 1
            cards.append(
                Card(
                    id=f"{name}/{index}",
                    host=name,
                    usable_mib=usable_mib if alike else random.choice(MODELS)[0],
                    nvlink=(f"{name}/{peer}",) if linked and peer < count else (),
                    foreign_process=random.random() < size.special / 4,
                    unified=unified,
                )
            )
        tight = random.random() < size.special
        here = [card.usable_mib for card in cards if card.host == name]
        hosts.append(
            Host(
                name,
                ram_mib=sum(here) if tight or unified else random.choice([None, 4 * sum(here)]),
                disk_mib=2 * sum(here) if tight else None,
                psu_watts=1000 if random.random() < 0.5 else None,
                watts=random.choice([700, 900, 990, 990, 1010]) if tight else 600,
                taken_ports=(8000,) if random.random() < 0.5 else (),
            )
        )
    return tuple(hosts), tuple(cards)


def _workloads(
    random: Random, size: Size, hosts: tuple[Host, ...], cards: tuple[Card, ...]
) -> tuple[Workload, ...]:
    del hosts, cards
    names = [f"w{number:03}" for number in range(size.workloads)]
    jobs = {name for name in names if random.random() < size.special / 2}
    workloads = []
    for name in names:
        others = [each for each in names if each != name]
        services = [each for each in others if each not in jobs]
        start = random.randrange(24) * 60
        workloads.append(
            Workload(
                name,
                priority=random.choice([20, 50, 50, 50, 100]),
                load=random.choice([1, 1, 1, 3, 0]),
                stateful=random.random() < size.special,
                exclusive=random.random() < size.special / 4,
                elastic=random.random() < size.special / 4,
                apart_from=tuple(random.sample(others, 1)) if random.random() < size.special else (),
                displaces=tuple(sorted(random.sample(services, min(len(services), random.randint(1, 2)))))
                if name in jobs
                else (),
                window=(start, (start + random.choice([60, 300, 600])) % 1440)
                if name in jobs and random.random() < 0.8
                else None,
            )
        )
    return tuple(workloads)


def _options(
    random: Random,
    size: Size,
    workload: Workload,
    hosts: tuple[Host, ...],
    cards: tuple[Card, ...],
    mean_mib: float,
) -> Iterator[Option]:
    count = random.choice([0, 1, 1, 1, 1, 1, 1, 2, 2, 3]) if random.random() < 0.7 else 1
    pinned = random.choice(hosts).name if random.random() < size.special else None
    variants = list(_variants(random, size, mean_mib))
    on_host = Option(
        workload.name,
        "",
        {},
        ram_mib=random.choice([0, 0, 512, 4096]),
        disk_mib=random.choice([0, 1000, 20_000]),
        ports=(random.choice([8000, 8001, 8002]),) if random.random() < size.special / 2 else (),
        watts=random.choice([10, 50]) if random.random() < size.special / 2 else 0,
    )
    for host in hosts:
        if pinned in (None, host.name):
            here = [card for card in cards if card.host == host.name]
            for variant in variants:
                for chosen in combinations(here, count):
                    yield _option(replace(on_host, host=host.name), variant, chosen)


def _variants(random: Random, size: Size, mean_mib: float) -> Iterator[_Variant]:
    claim = mean_mib * random.choice([0.2, 0.5, 0.8, 1, 1.3, 2, 3])
    has_speed = random.random() < 0.8
    for rank in range(random.randint(1, size.variants)):
        yield _Variant(rank, round(claim), 3_000_000 // round(claim + 1) if has_speed else None)
        claim *= random.choice([0.5, 0.7, 0.9])


def _option(on_host: Option, variant: _Variant, chosen: tuple[Card, ...]) -> Option:
    slowest = min((dict(MODELS)[card.usable_mib] for card in chosen), default=1)
    linked = len(chosen) == 2 and chosen[1].id in chosen[0].nvlink
    share = round(variant.claim_mib * (1.1 if len(chosen) > 1 else 1) / max(1, len(chosen)))
    speed = None if variant.speed is None else variant.speed * slowest * (6 if linked else 5) // 50
    return replace(
        on_host,
        claims_mib={card.id: share for card in chosen},
        rank=variant.rank,
        decitokens_per_second=speed,
        variant_id=f"v{variant.rank}",
        variant={"rank": variant.rank},
    )


def _with_incumbents(random: Random, size: Size, problem: Problem) -> Problem:
    """Some workloads run already, most of them where they can stay."""
    workloads = []
    for workload in problem.workloads:
        own = [each for each in problem.options if each.workload == workload.name]
        if own and random.random() < size.incumbents:
            option = random.choice(own)
            gone = random.random() < 0.1
            workload = replace(
                workload,
                incumbent=Incumbent(
                    option.host,
                    ("gone",) if gone else tuple(sorted(option.claims_mib)),
                    option.variant_id,
                ),
            )
        workloads.append(workload)
    return replace(problem, workloads=tuple(workloads))


def shuffled(problem: Problem, seed: int) -> Problem:
    """The same problem, put together in another order."""
    random = Random(seed)
    return replace(
        problem,
        hosts=tuple(random.sample(problem.hosts, len(problem.hosts))),
        cards=tuple(random.sample(problem.cards, len(problem.cards))),
        workloads=tuple(random.sample(problem.workloads, len(problem.workloads))),
        options=tuple(random.sample(problem.options, len(problem.options))),
    )
