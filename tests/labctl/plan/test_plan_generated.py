"""On generated questions: a plan that runs stays, order does not matter, and little moves when a card goes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from random import Random

import pytest

from labctl.place import placed
from labctl.place.placement import Question, place, problem_of
from labctl.place.problem_json import dump as dump_problem
from labctl.plan import make, moves, ports
from labctl.plan.diff import difference
from labctl.plan.hardware import hardware_of
from labctl.plan.keep import incumbents
from labctl.plan.make import plan_of
from labctl.plan.plan import Plan, PlannedRig
from labctl.plan.plan_json import dump, load
from labctl.rig.rig import Rig
from tests.labctl.place.reference import tier_values
from tests.labctl.plan import questions
from tests.labctl.plan.questions import answered, earlier, foreign, question, swapped, uuid, without

SEEDS = range(16)
Wrong = Callable[[int], str | None]
NEW = uuid(0xFFFF)


def changes_when_nothing_changed(seed: int) -> str | None:
    """A plan that came from another one and runs."""
    asked = question(seed)
    before, _ = answered(earlier(asked))
    plan, _ = answered(asked, before)
    again, placement = answered(asked, plan)
    if dump(again) != dump(plan):
        return f"another plan: {difference(plan, again)}"
    if said := moves.moves(plan, again, placement):
        return f"moves: {said}"
    return None if load(dump(plan)) == plan else "does not read back"


def gives_out_other_ports(seed: int) -> str | None:
    """What has a port keeps it when a workload comes that is sorted before it."""
    asked = question(seed)
    before, _ = answered(earlier(asked))
    after, _ = answered(asked, before)
    for name, workload in before.workloads.items():
        now = after.workloads.get(name)
        if now and now.host == workload.host and now.ports != workload.ports:
            return f"{name}: {workload.ports} became {now.ports}"
    return None


def depends_on_order(seed: int) -> str | None:
    asked, random = question(seed), Random(seed)
    other = replace(
        asked,
        wishes=tuple(random.sample(asked.wishes, len(asked.wishes))),
        rig=replace(asked.rig, hosts=tuple(reversed(asked.rig.hosts))),
    )
    return None if dump(answered(asked)[0]) == dump(answered(other)[0]) else "another plan"


def moves_more_than_it_must(seed: int) -> str | None:
    """When a card dies: as many incumbents as the reference's second tier says."""
    asked = question(seed)
    plan, _ = answered(asked)
    card = dying(asked, plan, seed)
    return held_against_reference(replace(without(asked, card), incumbents=incumbents(plan)), plan, {})


def moves_at_a_swap(seed: int) -> str | None:
    """When a card is swapped for one of its kind, nothing has to move but onto that."""
    asked = question(seed)
    plan, _ = answered(asked)
    card = dying(asked, plan, seed)
    replaced = {card: NEW}
    after = replace(swapped(asked, card, NEW), incumbents=incumbents(plan, replaced))
    if said := held_against_reference(after, plan, replaced):
        return said
    new, _ = plan_of(place(after), plan), None
    expected = {
        name: tuple(replaced.get(each, each) for each in workload.card_ids)
        for name, workload in plan.workloads.items()
    }
    found = {name: workload.card_ids for name, workload in new.workloads.items()}
    return None if found == expected else f"{found} instead of {expected}"


def moves_more_than_it_must_at_another_card(seed: int) -> str | None:
    """When a card is swapped for one of another kind: as many as the reference's second tier says."""
    asked = question(seed)
    plan, _ = answered(asked)
    card = dying(asked, plan, seed)
    replaced = {card: NEW}
    after = swapped(asked, card, NEW, model="rtx-3060")
    return held_against_reference(replace(after, incumbents=incumbents(plan, replaced)), plan, replaced)


def dying(asked: Question, plan: Plan, seed: int) -> str:
    """A card that is in use, where one is."""
    used = [card for _, workload in sorted(plan.workloads.items()) for card in workload.card_ids]
    return Random(seed).choice(used or [card.id for card in asked.rig.cards])


def held_against_reference(asked: Question, plan: Plan, replaced: dict[str, str]) -> str | None:
    placement = place(asked)
    found = plan_of(placement, plan)
    must = tier_values(dump_problem(problem_of(asked)))[1]
    changed = [
        each
        for each in difference(plan, found).workloads
        if each.kind in ("moved", "unplaced", "changed") and each.host_before is not None
    ]
    changed = [
        each
        for each in changed
        if tuple(replaced.get(card, card) for card in each.cards_before) != each.cards_after
        or plan.workloads[each.workload].variant != found.workloads[each.workload].variant
    ]
    data_only = sum(each.data_host is not None for each in plan.unplaced.values())
    if len(changed) + data_only != must:
        return f"{[each.workload for each in changed]} move, and {must} must"
    return None


def moves_when_others_use_a_card(seed: int) -> str | None:
    """What others hold is no hardware: where everything still fits on its cards, the plan stays to the byte."""
    asked = question(seed)
    plan, placement = answered(asked)
    spare = {card.id: placement.usage.free_mib(card) for card in placement.problem.cards}
    filled = (card for each in plan.workloads.values() if each.elastic for card in each.card_ids)
    spare |= dict.fromkeys(filled, 1000)
    held = {card: min(300 + 100 * number, mib) for number, (card, mib) in enumerate(spare.items())}
    busy = foreign(asked, held)
    again, _ = answered(busy, plan)
    return None if dump(again) == dump(plan) else f"another plan: {difference(plan, again)}"


PROPERTIES = (
    changes_when_nothing_changed,
    gives_out_other_ports,
    depends_on_order,
    moves_when_others_use_a_card,
    moves_more_than_it_must,
    moves_at_a_swap,
    moves_more_than_it_must_at_another_card,
)


@pytest.mark.parametrize("wrong", PROPERTIES, ids=lambda each: each.__name__)
def test_holds_on_generated_questions(wrong: Wrong) -> None:
    assert {seed: said for seed in SEEDS if (said := wrong(seed))} == {}


def forget_what_runs(patch: pytest.MonkeyPatch) -> None:
    """Every other time: the plan that is to stay came about with what ran before it."""
    asked = count()
    patch.setattr(questions, "incumbents", lambda plan: {} if next(asked) % 2 else incumbents(plan))


def forget_ports(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ports, "_kept", lambda *_: None)


def keep_the_order_of_hosts(patch: pytest.MonkeyPatch) -> None:
    def in_order(rig: Rig) -> PlannedRig:
        found = hardware_of(rig)
        names = [host.name for host in rig.hosts]
        return replace(found, hosts=tuple(sorted(found.hosts, key=lambda host: names.index(host.name))))

    patch.setattr(make, "hardware_of", in_order)


def forget_the_split(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(placed, "_split", lambda *_: None)


def rebalance_unasked(patch: pytest.MonkeyPatch) -> None:
    honest = place
    patch.setitem(globals(), "place", lambda asked: honest(replace(asked, rebalance=True)))


def forget_the_swap(patch: pytest.MonkeyPatch) -> None:
    honest = incumbents
    patch.setitem(globals(), "incumbents", lambda plan, _=None: honest(plan))


@pytest.mark.parametrize(
    ("plant", "wrong"),
    [
        (forget_what_runs, changes_when_nothing_changed),
        (forget_ports, gives_out_other_ports),
        (keep_the_order_of_hosts, depends_on_order),
        (forget_the_split, moves_when_others_use_a_card),
        (rebalance_unasked, moves_more_than_it_must),
        (forget_the_swap, moves_at_a_swap),
        (rebalance_unasked, moves_more_than_it_must_at_another_card),
    ],
    ids=lambda each: each.__name__,
)
def test_a_planted_bug_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert any(wrong(seed) for seed in SEEDS)
