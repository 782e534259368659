"""Small problems for single rules, and what to ask of an answer."""

from dataclasses import replace

from labctl.place.problem import Card, Host, Incumbent, Option, Problem, Solution, Value, Workload
from labctl.place.problem_limits import placed_options
from labctl.place.solver import Budget, solve

PLAIN_HOST = Host("h")
# Nothing is settled without CP-SAT.
LIBRARY_ONLY = Budget(steps=0)


def lab(
    workloads: tuple[Workload, ...],
    options: tuple[Option, ...],
    *,
    usable_mib: tuple[int, ...] = (100, 100),
    host: Host = PLAIN_HOST,
) -> Problem:
    """One host with cards c0, c1 …"""
    cards = tuple(Card(f"c{number}", host.name, usable) for number, usable in enumerate(usable_mib))
    return Problem((host,), cards, workloads, options)


def on_each(problem_cards: int, workload: str, claim_mib: int, **more: object) -> tuple[Option, ...]:
    """The same option on each card of the host h, one card at a time."""
    blank = Option(workload, "h", {})
    return tuple(
        replace(blank, claims_mib={f"c{number}": claim_mib}, **more)  # type: ignore[arg-type] # fields of Option
        for number in range(problem_cards)
    )


def cards_of(problem: Problem, solution: Solution) -> dict[str, tuple[str, ...]]:
    """Per placed workload."""
    placed = placed_options(problem, solution.choice)
    return {name: tuple(sorted(option.claims_mib)) for name, option in placed.items()}


def answer(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Cards per placed workload, the same from both ways of solving."""
    found = solve(problem)
    other = solve(problem, LIBRARY_ONLY)
    assert found.optimal
    assert other.optimal
    assert found.tiers == other.tiers
    return cards_of(problem, found)


def tier(problem: Problem, number: int) -> Value:
    """The value of one tier, 1 to 7, the same from both ways of solving."""
    found = solve(problem).tiers[number - 1]
    assert found == solve(problem, LIBRARY_ONLY).tiers[number - 1]
    return found.value


NOT_RUNNING = "not running"


def applied(problem: Problem, solution: Solution) -> Problem:
    """The same problem once the solution runs. What is stateful and was not placed still has its data somewhere."""
    placed = placed_options(problem, solution.choice)
    workloads = []
    for workload in problem.workloads:
        option = placed.get(workload.name)
        incumbent = None
        if option:
            incumbent = Incumbent(option.host, tuple(sorted(option.claims_mib)), option.variant_id)
        elif workload.stateful and workload.incumbent:
            incumbent = Incumbent(workload.incumbent.host, (), NOT_RUNNING)
        workloads.append(replace(workload, incumbent=incumbent))
    return replace(problem, workloads=tuple(workloads), rebalance=False)


def keeps_data_only(workload: Workload) -> bool:
    """Whether it has data on a host and does not run."""
    return workload.incumbent is not None and workload.incumbent.variant_id == NOT_RUNNING


def without(problem: Problem, card: str) -> Problem:
    """The same problem after a card died."""
    return replace(
        problem,
        cards=tuple(
            replace(each, nvlink=tuple(peer for peer in each.nvlink if peer != card))
            for each in problem.cards
            if each.id != card
        ),
        options=tuple(each for each in problem.options if card not in each.claims_mib),
    )


def swapped(problem: Problem, card: str, new: str) -> Problem:
    """The same problem with another card in the place of one."""
    return replace(
        problem,
        cards=tuple(
            replace(
                each,
                id=new if each.id == card else each.id,
                nvlink=tuple(new if peer == card else peer for peer in each.nvlink),
            )
            for each in problem.cards
        ),
        options=tuple(
            replace(
                each, claims_mib={new if key == card else key: mib for key, mib in each.claims_mib.items()}
            )
            for each in problem.options
        ),
    )
