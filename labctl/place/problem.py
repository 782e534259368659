"""The placement problem as plain values: the solver's sole input, and what `labctl place --problem FILE` writes.

Written for whoever wants to check an answer with a solver of their own. `problem.json` holds the same values under the
same names (`problem_json`), sorted, all numbers whole: memory and disk in MiB, power in watts, minutes of the day.

**To choose:** for each workload one of its options, or none.

**Never to break** (`problem_limits` checks an answer):

1. *Card memory.* Per card, the claims of the workloads that may be resident together are at most `usable_mib`.
   Everything is resident together, except in *time-share sets*: a job (a workload with `displaces`) never runs while
   what it displaces does. Jobs that displace a common workload are one set. A set needs, of any resource, the most of
   its *states*: one where no job runs and all others do, and one for each group of its jobs whose windows all
   overlap, with those others that none of the group displaces. With one job that is max(job, Σ displaced). Sets add
   to each other and to all else. A job that displaces nothing is no set: it is always counted.
2. *RAM.* Likewise per host, with `ram_mib` of options; on a host with unified memory the claims on its unified cards
   are added to that, in each state. None as a host's amount means: not limited. (Unified memory needs an amount.)
3. *Power.* A host draws `watts` whatever is placed: limits of all installed cards, CPU TDP and 75 W, or as PLACEMENT
   says. An option's `watts` are what it adds to that, so 0 unless it raises a limit; they are shared in time as RAM
   is. The sum is at most `psu_watts`. A host that is over it with nothing placed takes no option with a card or with
   watts; others, which add nothing, it takes.
4. *Disk* adds up, whether shared in time or not. No two placed options of a host take the same port, none a taken one.
5. *One host per time-share set*: its placed members are on the same host.
6. *Windows.* Jobs (workloads with `displaces` or with a `window`) whose windows overlap share no card. Without a
   window a job may run at any time. A window is [first, last) in minutes of the day and may pass midnight.
7. *Own cards.* A card of an `exclusive` workload has no other placed workload and no foreign process; one of an
   `elastic` workload (whose engine fills what is free) no other placed workload. A job and what it displaces do not
   count as each other's other: they never meet. An engine with a cap is not elastic: the cap is its claim.
8. `apart_from`, in either direction: no common card.
9. A `stateful` workload with an incumbent keeps that host as long as it has an option there, even when that leaves it
   unplaced, and with `rebalance` too: data does not travel by itself. Pinned elsewhere, or without its host, it moves.

A card named in `claims_mib` is in use even at a claim of 0.

**Best is**, each only among the best of all before it (`tiers` computes them):

1. workloads placed, per priority, most; highest priority first: a vector, compared element by element;
2. incumbents that change, fewest: not placed, or another host, other cards, or another `variant_id`. None is counted
   (value and bound are null) with `rebalance`;
3. Σ rank of the chosen options, per priority, least; a vector again;
4. Σ load · `decitokens_per_second` (⌊10 · expected tokens/s⌋, None counts 0), most;
5. Σ number of NVLink peers of the cards that are some option's only card, least; each card counts once;
6. cards in use, fewest;
7. the largest free memory of one card, most: `usable_mib` less what is claimed there as in 1; on unified memory also at
   most what the host's RAM has left. 0 without cards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any, Literal, get_args

TIERS = 7
MINUTES_PER_DAY = 24 * 60
Reason = Literal[
    "too_small",
    "full",
    "fits_alone_but_outranked",
    "too_few_on_host",
    "compute_capability",
    "dtype",
    "driver",
    "ram",
    "disk",
    "port",
    "psu",
    "pinned_elsewhere",
    "exclusive",
    "mig",
    "compute_mode",
    "unknown_memory",
]
REASONS: tuple[Reason, ...] = get_args(Reason)


def decitokens(tokens_per_second: float | None) -> int | None:
    """An option's speed as the problem holds it: ⌊10 · expected tokens/s⌋."""
    return None if tokens_per_second is None else floor(10 * tokens_per_second)


@dataclass(frozen=True)
class Card:
    """One installed GPU. nvlink: ids of its peers. unified: its memory is its host's RAM."""

    id: str
    host: str
    usable_mib: int
    nvlink: tuple[str, ...] = ()
    foreign_process: bool = False
    unified: bool = False


@dataclass(frozen=True)
class Host:
    """One machine. None: not limited. watts: drawn with nothing placed. taken_ports: by what is not ours."""

    name: str
    ram_mib: int | None = None
    disk_mib: int | None = None
    psu_watts: int | None = None
    watts: int = 0
    taken_ports: tuple[int, ...] = ()


@dataclass(frozen=True)
class Incumbent:
    """Where and how a workload runs now. The host and the cards may be gone."""

    host: str
    cards: tuple[str, ...]
    variant_id: str


@dataclass(frozen=True)
class Workload:
    """What is to be placed. window: [first, last) minutes of the day; it and `displaces` make it a job.

    barred: why it has no options on a card at all; kept for the refusals, no part of what is solved.
    """

    name: str
    priority: int = 50
    load: int = 1
    stateful: bool = False
    exclusive: bool = False
    elastic: bool = False
    apart_from: tuple[str, ...] = ()
    displaces: tuple[str, ...] = ()
    window: tuple[int, int] | None = None
    incumbent: Incumbent | None = None
    barred: Mapping[str, Reason] = field(default_factory=dict)

    @property
    def is_job(self) -> bool:
        """Whether it runs only at times."""
        return bool(self.displaces) or self.window is not None


@dataclass(frozen=True)
class Option:
    """One way to run a workload. claims_mib: per card of `host`. ports: of the host. variant: opaque.

    variant_id: equal exactly where a running workload would not have to change, cards and host aside.
    """

    workload: str
    host: str
    claims_mib: Mapping[str, int]
    ram_mib: int = 0
    disk_mib: int = 0
    ports: tuple[int, ...] = ()
    watts: int = 0
    rank: int = 0
    decitokens_per_second: int | None = None
    variant_id: str = ""
    variant: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """All that an answer may depend on. Neither order nor `variant` nor `barred` changes any tier's value."""

    hosts: tuple[Host, ...]
    cards: tuple[Card, ...]
    workloads: tuple[Workload, ...]
    options: tuple[Option, ...]
    rebalance: bool = False

    @property
    def priorities(self) -> tuple[int, ...]:
        """Descending: what the vectors of tiers 1 and 3 are about."""
        return tuple(sorted({workload.priority for workload in self.workloads}, reverse=True))


Choice = Mapping[str, int | None]
Value = int | tuple[int, ...] | None


@dataclass(frozen=True)
class Tier:
    """value: of the answer. bound: no answer that keeps the values of all earlier tiers does better."""

    value: Value
    bound: Value


@dataclass(frozen=True)
class Solution:
    """choice: per workload a position in `Problem.options`, or None. optimal: every bound is met."""

    choice: Choice
    tiers: tuple[Tier, ...]
    optimal: bool


def overlap(one: Workload, other: Workload) -> bool:
    """Whether two jobs may run at the same time."""
    if one.window is None or other.window is None:
        return True
    (first, last), (begin, end) = one.window, other.window
    length = (last - first) % MINUTES_PER_DAY or MINUTES_PER_DAY
    other_length = (end - begin) % MINUTES_PER_DAY or MINUTES_PER_DAY
    return (begin - first) % MINUTES_PER_DAY < length or (first - begin) % MINUTES_PER_DAY < other_length


def may_share(one: Workload, other: Workload) -> bool:
    """Whether two workloads may have claims on one card, memory aside."""
    if one.name in other.apart_from or other.name in one.apart_from:
        return False
    if one.is_job and other.is_job and overlap(one, other):
        return False
    if one.name in other.displaces or other.name in one.displaces:
        return True
    return not (one.exclusive or one.elastic or other.exclusive or other.elastic)
