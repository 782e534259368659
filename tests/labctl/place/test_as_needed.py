"""Solving with the options that are needed is solving with all of them."""

from dataclasses import replace

import pytest

from labctl.edges.rigs import read_rig
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.place.options import MOST_HOPES, Offering, Wish
from labctl.place.placement import Question, place, problem_of
from labctl.place.problem import Incumbent, Option
from labctl.place.problem_limits import placed_options, violations
from labctl.place.solver import Budget, solve
from labctl.place.solver_explain import explain
from labctl.place.tiers import changes
from labctl.rig.rig import Host, Rig
from labctl.workloads.workload import Amount, Workload
from tests.labctl.place.questions import SERVICE, Timed, question
from tests.labctl.place.simulated import card

CHUNK = 20
STARTS = range(0, 100, CHUNK)


@pytest.mark.parametrize("start", STARTS)
def test_the_tiers_are_those_of_the_complete_problem(start: int) -> None:
    wrong, fewer = {}, 0
    for seed in range(start, start + CHUNK):
        asked = question(seed)
        complete = problem_of(asked)
        placement, whole = place(asked), solve(complete)
        assert whole.optimal
        fewer += len(placement.problem.options) < len(complete.options)
        if placement.solution.tiers != whole.tiers or violations(
            placement.problem, placement.solution.choice
        ):
            wrong[seed] = (placement.solution.tiers, whole.tiers)
    assert wrong == {}
    assert fewer > CHUNK // 4


@pytest.mark.parametrize("start", STARTS[:2])
def test_refusals_speak_of_all_options(start: int) -> None:
    told = 0
    for seed in range(start, start + CHUNK):
        asked = question(seed)
        placement = place(asked)
        complete = problem_of(asked)
        at = {option: index for index, option in enumerate(map(_key, complete.options))}
        chosen = {
            name: at[_key(option)]
            for name, option in placed_options(placement.problem, placement.solution.choice).items()
        }
        choice = {name: chosen.get(name) for name in placement.solution.choice}
        assert placement.refused == explain(complete, replace(placement.solution, choice=choice)), seed
        told += len(placement.refused)
    assert told


@pytest.mark.parametrize("start", STARTS[:2])
def test_a_hope_asks_no_more_and_promises_no_less_than_any_option_that_is_left_out(start: int) -> None:
    compared = many = 0
    for seed in range(start, start + CHUNK):
        asked = question(seed)
        workloads = {each.name: each for each in problem_of(asked).workloads}
        for wish in asked.wishes:
            name, complete = wish.workload.name, Offering(wish, asked.rig)
            complete.complete()
            some = Offering(wish, asked.rig)
            some.widen()
            if name in asked.incumbents:
                some.make_like(asked.incumbents[name].variant_id)
            made, hopes = set(map(_key, some.offered.options)), some.left_out()
            assert len(hopes) <= max(MOST_HOPES, len(asked.rig.hosts))
            many += len(hopes) > 1
            for option in complete.offered.options:
                if _key(option) not in made and _fits_empty(asked, option):
                    compared += 1
                    assert any(_is_hope_of(hope, option) for hope in hopes), (seed, option)
                    assert workloads[name].incumbent is None or changes(workloads[name], option)
    assert compared > 100
    assert many


def test_what_a_budget_leaves_open_is_bounded_for_the_complete_problem() -> None:
    open_tiers = 0
    for seed in range(25):
        asked = question(seed)
        placement = place(asked, Budget(steps=0, deterministic_time=0.0))
        best = solve(problem_of(asked)).tiers
        for tier, proven in zip(placement.solution.tiers[:1], best[:1], strict=True):
            open_tiers += tier.bound != tier.value
            assert isinstance(tier.bound, tuple)
            assert isinstance(proven.value, tuple)
            assert tier.bound >= proven.value
    assert open_tiers


def test_data_stays_on_a_host_where_only_a_variant_far_down_the_list_fits() -> None:
    cards = (card(6000), card(40_000, host="den"))
    rig = Rig("two", tuple(Host(each.host, (each,)) for each in cards))
    service = SERVICE.model_copy(update={"stateful": True})
    workload = Workload("data", "simulated", 1, context=Amount(8192, 8192))
    wish = Wish(workload, service, Timed(14_000, 20_000))
    asked = Question((wish,), rig, {"data": Incumbent("box", ("box/0",), "an older variant")})
    placement = place(asked)
    assert placement.placed["data"].host == "box"
    assert placement.solution.tiers == solve(problem_of(asked)).tiers


def test_a_real_home_takes_few_options_and_its_tiers_are_those_of_all() -> None:
    file = "workloads/home.yaml"
    wanted = tuple(
        replace(wish, workload=replace(wish.workload, context=Amount(16384, 8192), kv_types=("f16",)))
        for wish in wishes(read_workloads(file), file)
    )
    for rig in ("dual-3090", "single-5090"):
        asked = Question(wanted, read_rig(f"workloads/rigs/{rig}.yaml"))
        placement, complete = place(asked), problem_of(asked)
        assert placement.solution.tiers == solve(complete).tiers
        assert len(placement.problem.options) * 5 < len(complete.options)


def _key(option: Option) -> tuple[object, ...]:
    return (option.workload, option.host, tuple(option.claims_mib.items()), option.variant_id)


def _fits_empty(asked: Question, option: Option) -> bool:
    usable = {card.id: card.usable_mib or 0 for card in asked.rig.cards}
    return all(claim <= usable[card] for card, claim in option.claims_mib.items())


def _is_hope_of(hope: Option, option: Option) -> bool:
    return (
        hope.host == option.host
        and (not hope.claims_mib or hope.claims_mib.keys() == option.claims_mib.keys())
        and all(claim <= option.claims_mib[card] for card, claim in hope.claims_mib.items())
        and hope.ram_mib <= option.ram_mib
        and hope.disk_mib <= option.disk_mib
        and hope.ports == option.ports
        and hope.watts <= option.watts
        and hope.rank <= option.rank
        and (hope.decitokens_per_second or 0) >= (option.decitokens_per_second or 0)
    )
