"""Which cards to buy so that everything fits: the cheapest first, each placed before it is shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from labctl.errors import BadInput
from labctl.estimate.claim import MIB
from labctl.place.additions import Addition, additions, fits_a_slot, most_added
from labctl.place.fit import on_cards
from labctl.place.group import Group
from labctl.place.options import Wish
from labctl.place.placement import Placement, Question, place, problem_of
from labctl.place.prices import Market
from labctl.place.problem import Option
from labctl.place.problem_limits import Usage
from labctl.place.variants import variants
from labctl.place.what_if import with_added
from labctl.rig.gpu import Gpu, Price
from labctl.rig.rig import Host, Rig, visible_mib
from labctl.workloads.workload import GpuLimits

# How many purchases are shown of each kind, and after how many that fit nobody looks for a better one.
SHOWN, MOST_PLACED = 4, 8
# How many placements an answer may cost: a rig of many workloads that nothing helps would take minutes.
MOST_TRIED = 200


@dataclass(frozen=True)
class Advised:
    """A purchase with which everything fits. price: of one card."""

    addition: Addition
    price: Price | None
    placement: Placement

    @property
    def cost(self) -> float | None:
        """Of all its cards."""
        return None if self.price is None else self.price.amount * self.addition.count

    @property
    def tokens_per_second(self) -> float:
        """Of all workloads together."""
        return sum((each.decitokens_per_second or 0) / 10 for each in self.placement.placed.values())


@dataclass(frozen=True)
class Purchase:
    """So many of one card. price: of one."""

    gpu: Gpu
    count: int
    price: Price | None


@dataclass(frozen=True)
class Short:
    """What no card adds to: `ram` or `disk` of the only host. needs_mib: of all workloads together, at least."""

    what: Literal["ram", "disk"]
    needs_mib: int
    has_mib: int


@dataclass(frozen=True)
class Advice:
    """before: what fits as it is. now: purchases that the host takes as it is, cheapest first, those of unknown price
    after them; each is faster, or draws less, than all that cost no more. with_psu: those that need a larger power
    supply, and are cheaper than any of `now`. over_budget: where nothing of known price is affordable, the
    cheapest that would do.

    Where nothing makes it all fit: closest: of what was tried the cheapest that places most, if it places more than
    `before`. largest: most memory that can be had. asked_mib: what weights take of cards at least, by workload.
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
    asked_mib: Mapping[str, int] = field(default_factory=dict)
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
    if short := tuple(_short(question, offered)):
        return Advice(before, market, short=short)
    search = _Search(before, market)
    purchases = sorted(_purchases(question.rig, offered, market), key=_cheapest_first)
    affordable = [each for each in purchases if not _over(each, market)]
    now = search.best(affordable, with_psu=False)
    with_psu = search.best(affordable, with_psu=True, cheaper_than=now[0] if now else None)
    dearer: tuple[Advised, ...] = ()
    if not any(each.price for each in (*now, *with_psu)):
        over = [each for each in purchases if _over(each, market)]
        dearer = search.best(over, with_psu=False, most=1) or search.best(over, with_psu=True, most=1)
    advice = Advice(before, market, now, with_psu, next(iter(dearer), None), complete=search.complete)
    if advice.found:
        return advice
    return replace(
        advice,
        closest=search.closest,
        largest=search.largest(purchases),
        asked_mib=search.asked_mib,
        complete=search.complete,
    )


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


class _Search:
    """Places purchases, and remembers what that says of others.

    Of two cards of one compute capability the one with more memory holds all that the other does, in the same number
    beside the same cards. So what did not fit with one rules out every smaller one without placing it.
    """

    def __init__(self, before: Placement, market: Market) -> None:
        question = before.question
        self._question = question
        self._market = market
        self._most = before.solution.tiers[0].value
        self.closest: Advised | None = None
        self.complete = True
        self._tries = 0
        self._failed_mib: dict[object, int] = {}
        self._known: dict[tuple[object, ...], Placement] = {}
        self._weights_mib = {wish.workload.name: _least_weights_mib(wish) for wish in question.wishes}

    @property
    def asked_mib(self) -> dict[str, int]:
        """What the workloads' weights take on cards at least, by name."""
        return dict(self._weights_mib)

    def best(
        self,
        purchases: Sequence[Purchase],
        *,
        with_psu: bool,
        cheaper_than: Advised | None = None,
        most: int = SHOWN,
    ) -> tuple[Advised, ...]:
        """The first so many with which everything fits, in the order given; a price and no price counted apart."""
        found: list[Advised] = []
        for priced in (True, False):
            kept: list[Advised] = []
            placed = 0
            for purchase in purchases:
                if (purchase.price is not None) != priced or len(kept) >= most or placed >= MOST_PLACED:
                    continue
                if any(each.addition.gpu is purchase.gpu for each in (*found, *kept)):
                    continue  # more of a card of which fewer do
                advised = self._tried(purchase, with_psu)
                if advised is None:
                    continue
                if cheaper_than is not None and not _cheaper(advised, cheaper_than):
                    break
                placed += 1
                if not any(_no_better(advised, than) for than in kept):
                    kept.append(advised)
            found += kept
        return tuple(found)

    def largest(self, purchases: Sequence[Purchase]) -> Addition | None:
        """With the most memory of all that the slots take."""
        built = [
            addition
            for purchase in purchases
            for host in self._question.rig.hosts
            for addition in list(additions(self._question.rig, host, purchase.gpu, purchase.count))[-1:]
        ]
        return max(built, key=lambda each: (_usable_mib(each.rig), -each.watts), default=None)

    def _tried(self, purchase: Purchase, with_psu: bool) -> Advised | None:
        for host in self._question.rig.hosts:
            for addition in additions(self._question.rig, host, purchase.gpu, purchase.count):
                if (addition.psu_watts_needed is not None) != with_psu:
                    continue
                placement = self._placed(addition)
                if placement is None:
                    continue
                advised = Advised(addition, purchase.price, placement)
                if not placement.refused:
                    return advised
                self._remember(advised)
        return None

    def _remember(self, advised: Advised) -> None:
        value = advised.placement.solution.tiers[0].value
        if isinstance(value, tuple) and isinstance(self._most, tuple) and value > self._most:
            self.closest, self._most = advised, value

    def _placed(self, addition: Addition) -> Placement | None:
        """What comes of it; None where it is known that not everything fits."""
        gpu, memory_mib = addition.gpu, visible_mib(addition.gpu)
        alike = (
            addition.host,
            tuple(card.id for card in addition.replaced),
            addition.count,
            gpu.capability,
            tuple(_named(wish, gpu) for wish in self._question.wishes),
        )
        if memory_mib <= self._failed_mib.get(alike, 0) or not self._could(addition.rig):
            return None
        key = (gpu.name, *alike, tuple(sorted(addition.limits.items())))
        if key not in self._known:
            if self._tries >= MOST_TRIED:
                self.complete = False
                return None
            self._tries += 1
            placement = place(replace(self._question, rig=_enough_power(addition)))
            self._known[key] = placement
            if placement.refused:
                self._failed_mib[alike] = memory_mib
        return self._known[key]

    def _could(self, rig: Rig) -> bool:
        """Whether the weights could lie on its cards at all; without what else they take."""
        for wish in self._question.wishes:
            least = self._weights_mib[wish.workload.name]
            if least and least > max(_allowed_mib(wish, host) for host in rig.hosts):
                return False
        steady = sum(
            self._weights_mib[wish.workload.name]
            for wish in self._question.wishes
            if not (wish.workload.displaces or wish.workload.when)
        )
        return steady <= _usable_mib(rig)


def _cheaper(advised: Advised, than: Advised) -> bool:
    if advised.cost is None or than.cost is None:
        return advised.cost is not None and than.cost is None
    return advised.cost < than.cost


def _no_better(advised: Advised, than: Advised) -> bool:
    """Neither faster nor easier on the power supply than one that costs no more."""
    faster = advised.tokens_per_second > 1.05 * than.tokens_per_second
    return not faster and advised.addition.watts >= than.addition.watts


def _enough_power(addition: Addition) -> Rig:
    """Where the power supply is too small, with one that is not."""
    if addition.psu_watts_needed is None:
        return addition.rig
    return replace(
        addition.rig,
        hosts=tuple(
            replace(host, psu_watts=addition.psu_watts_needed) if host.name == addition.host else host
            for host in addition.rig.hosts
        ),
    )


def _named(wish: Wish, gpu: Gpu) -> bool:
    return gpu.name in wish.workload.gpus.models


def _usable_mib(rig: Rig) -> int:
    return sum(card.usable_mib or 0 for card in rig.cards)


def _allowed_mib(wish: Wish, host: Host) -> int:
    limits = wish.workload.gpus
    if limits.host not in (None, host.name):
        return 0
    return sum(
        card.usable_mib or 0 for card in host.cards if not limits.models or card.gpu.name in limits.models
    )


def _least_weights_mib(wish: Wish) -> int:
    """What its weights take on cards in the variant that asks least of them; 0 where they may stay in RAM."""
    workload, candidate = wish.workload, wish.candidate
    if candidate is None:
        return (workload.vram_mib or 0) * (workload.gpus.count or 1)
    group = Group(Host("any", ()), ())
    least: int | None = None
    for variant in variants(workload, candidate, None, wish.vision):
        if variant.without_card:
            return 0
        try:
            asked = replace(on_cards(variant.request, group, candidate.engine), n_gpus=1, tensor_parallel=1)
            estimate = candidate.estimate(variant.quant, asked)
        except BadInput:
            return 0
        weights = sum(card.of("weights") for card in estimate.cards) // MIB
        least = weights if least is None else min(least, weights)
    return least or 0
