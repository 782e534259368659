"""Which cards to buy so that everything fits: the cheapest first, each placed before it is shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from labctl.place.additions import Addition, fits_a_slot, most_added
from labctl.place.advice_search import Advised, Purchase, Search
from labctl.place.placement import Placement, Question, place, problem_of
from labctl.place.prices import Market
from labctl.place.problem import Option
from labctl.place.problem_limits import Usage
from labctl.place.what_if import with_added
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Rig
from labctl.workloads.workload import GpuLimits


@dataclass(frozen=True)
class Short:
    """What no card adds to: `ram` or `disk` of the only host. needs_mib: of all workloads together, at least."""

    what: Literal["ram", "disk"]
    needs_mib: int
    has_mib: int


@dataclass(frozen=True)
class Advice:
    """What to buy. before: what fits as it is.

    now: purchases that the host takes as it is, cheapest first, those of unknown price
    after them; each is faster, or draws less, than all that cost no more. with_psu: those that need a larger power
    supply, and are cheaper than any of `now`. over_budget: where nothing of known price is affordable, the
    cheapest that would do.

    beyond_mib: workloads that nothing holds, with what their weights take of cards at least; all else is then about
    the rest. rest: what fits of that as it is. largest: the most memory that can be had, None where no card goes in.
    Where nothing makes it all fit: closest: of what was tried the cheapest that places most, if that is more than now.
    short: what a host lacks that no card brings; then nothing was searched. complete: False where the search stopped at
    its budget.
    """

    before: Placement
    market: Market
    now: tuple[Advised, ...] = ()
    with_psu: tuple[Advised, ...] = ()
    over_budget: Advised | None = None
    closest: Advised | None = None
    largest: Addition | None = None
    beyond_mib: Mapping[str, int] = field(default_factory=dict)
    rest: Placement | None = None
    short: tuple[Short, ...] = ()
    complete: bool = True

    @property
    def found(self) -> bool:
        """Whether there is something to buy."""
        return bool(self.now or self.with_psu)


def advise(question: Question, catalogue: Sequence[Gpu], market: Market) -> Advice:
    """What to buy for this rig. Raises BadInput as `place` does."""
    before = place(question)
    if not before.refused:
        return Advice(before, market)
    offered = [gpu for gpu in catalogue if fits_a_slot(gpu)]
    search = Search(before)
    purchases = sorted(_purchases(question.rig, offered, market), key=_cheapest_first)
    largest = search.largest(purchases)
    if beyond := _beyond(question, search.asked_mib, largest):
        rest = advise(_without(question, beyond), catalogue, market)
        asked_mib = {name: search.asked_mib[name] for name in beyond}
        return replace(rest, before=before, rest=rest.before, beyond_mib=asked_mib, largest=largest)
    if short := tuple(_short(question, offered)):
        return Advice(before, market, short=short, largest=largest)
    affordable = [each for each in purchases if not _over(each, market)]
    now = search.best(affordable, with_psu=False)
    with_psu = search.best(affordable, with_psu=True, cheaper_than=now[0] if now else None)
    dearer: tuple[Advised, ...] = ()
    if not any(each.price for each in (*now, *with_psu)):
        over = [each for each in purchases if _over(each, market)]
        dearer = search.best(over, with_psu=False, most=1) or search.best(over, with_psu=True, most=1)
    return Advice(
        before,
        market,
        now,
        with_psu,
        next(iter(dearer), None),
        None if now or with_psu else search.closest,
        largest,
        complete=search.complete,
    )


def _beyond(question: Question, asked_mib: Mapping[str, int], largest: Addition | None) -> frozenset[str]:
    """Workloads whose weights alone are more than all cards of any host could be made to hold."""
    hosts = [*question.rig.hosts, *(largest.rig.hosts if largest else ())]
    most = max(sum(card.usable_mib or 0 for card in host.cards) for host in hosts)
    return frozenset(name for name, mib in asked_mib.items() if mib > most)


def _without(question: Question, names: frozenset[str]) -> Question:
    """The question without these workloads, and without what others say of them."""
    wishes = []
    for wish in question.wishes:
        if wish.workload.name not in names:
            asked = wish.workload
            apart = tuple(each for each in asked.apart_from if each not in names)
            displaces = tuple(each for each in asked.displaces if each not in names)
            wishes.append(replace(wish, workload=replace(asked, apart_from=apart, displaces=displaces)))
    return replace(question, wishes=tuple(wishes))


def _short(question: Question, gpus: Sequence[Gpu]) -> Iterator[Short]:
    """What all workloads together take of RAM and disk at least, had each the roomiest card there is for itself."""
    if len(question.rig.hosts) != 1 or not gpus:
        return
    (host,) = question.rig.hosts
    roomy = max(gpus, key=lambda gpu: (gpu.memory_mib, gpu.capability))
    rig = with_added(replace(question.rig, hosts=(replace(host, cards=()),)), roomy)
    unlimited = tuple(
        replace(wish, workload=replace(wish.workload, gpus=GpuLimits())) for wish in question.wishes
    )
    problem = problem_of(replace(question, wishes=unlimited, rig=rig, incumbents={}))
    for what, has_mib in (("ram", problem.hosts[0].ram_mib), ("disk", problem.hosts[0].disk_mib)):
        least: dict[str, int | None] = {}
        for index, option in enumerate(problem.options):
            than = least.get(option.workload)
            if than is None or _of(option, what) < _of(problem.options[than], what):
                least[option.workload] = index
        usage = Usage(problem, least)
        needs_mib = (usage.ram_mib if what == "ram" else usage.disk_mib)[host.name]
        if has_mib is not None and needs_mib > has_mib:
            yield Short("ram" if what == "ram" else "disk", needs_mib, has_mib)


def _of(option: Option, what: str) -> int:
    return option.ram_mib if what == "ram" else option.disk_mib


def _purchases(rig: Rig, gpus: Sequence[Gpu], market: Market) -> Iterator[Purchase]:
    most = max((most_added(host) for host in rig.hosts), default=0)
    for gpu in gpus:
        for count in range(1, most + 1):
            yield Purchase(gpu, count, market.price(gpu))


def _cheapest_first(purchase: Purchase) -> tuple[bool, float, int, int, str, int]:
    gpu, count = purchase.gpu, purchase.count
    cost = count * purchase.price.amount if purchase.price else 0.0
    memory_mib, watts = count * gpu.memory_mib, count * (gpu.tdp_watts or 0)
    return purchase.price is None, cost, memory_mib, watts, gpu.name, count


def _over(purchase: Purchase, market: Market) -> bool:
    price = purchase.price
    return market.budget is not None and price is not None and purchase.count * price.amount > market.budget
