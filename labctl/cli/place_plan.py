"""What `labctl place` has to do with plans: the one it goes by (--keep), and the one it writes (--out)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.terminal import MOST_COLUMNS
from labctl.errors import BadInput
from labctl.place.placement import Placement
from labctl.place.problem import Incumbent
from labctl.rig.rig import Rig

# All else is imported where a plan is asked for: a placement without one is to be there at once.
if TYPE_CHECKING:
    from labctl.plan.moves import Move
    from labctl.plan.plan import Plan


@dataclass(frozen=True)
class PlansAsked:
    """As written on the command line. keep, out: files. replace: `OLD=NEW`."""

    keep: str | None = None
    replace: tuple[str, ...] = ()
    out: Path | None = None


@dataclass(frozen=True)
class Kept:
    """The plan to go by. replaced: cards of it that are others now. incumbents: what it says runs."""

    plan: "Plan"
    file: str
    replaced: Mapping[str, str]
    incumbents: Mapping[str, Incumbent]


@dataclass(frozen=True)
class Planned:
    """What came of it. plan: None where none was asked for. moves: None without a plan to compare with."""

    plan: "Plan | None" = None
    moves: "tuple[Move, ...] | None" = None
    kept: Kept | None = None
    out: Path | None = None
    is_new: bool = False


def read_kept(asked: PlansAsked) -> "Plan | None":
    """None where no plan is to be kept. Raises BadInput for a broken plan, and for replacements without one."""
    if asked.keep is None:
        if asked.replace:
            raise BadInput(
                "there is no plan in which a card could be replaced",
                where="--replace",
                found=asked.replace[0],
                hint="name the plan that runs now: --keep plan.json",
            )
        return None
    from labctl.edges.plan_file import read_plan

    return read_plan(asked.keep)


def gone(plan: "Plan | None", rig: Rig) -> Mapping[str, str]:
    """Cards that a plan has by UUID and the rig has not, and their models."""
    there = {card.id for card in rig.cards}
    hosts = plan.rig.hosts if plan and plan.rig.bound else ()
    return {card.id: card.model for host in hosts for card in host.cards if card.id not in there}


def kept(asked: PlansAsked, plan: "Plan | None", rig: Rig) -> Kept | None:
    """None where there is no plan. Raises BadInput for cards that cannot be meant."""
    if plan is None or asked.keep is None:
        return None
    from labctl.plan.keep import incumbents, replacements

    replaced = replacements(asked.replace, plan, rig)
    return Kept(plan, asked.keep, replaced, incumbents(plan, replaced))


def planned(placement: Placement, kept: Kept | None, asked: PlansAsked) -> Planned:
    """The plan, where one is asked for, and written where it is asked to be. Raises Failed where it cannot be."""
    if kept is None and asked.out is None:
        return Planned()
    from labctl.edges.plan_file import write_plan
    from labctl.plan.make import plan_of
    from labctl.plan.moves import moves

    plan = plan_of(placement, kept.plan if kept else None)
    moved = moves(kept.plan, plan, placement, kept.replaced) if kept else None
    is_new = write_plan(asked.out, plan) if asked.out else False
    return Planned(plan, moved, kept, asked.out, is_new)


def planned_document(found: Planned) -> dict[str, object]:
    """Keys for the document of `labctl place --json`."""
    changes = None
    if found.moves is not None:
        from labctl.cli.plan_words import change_document

        changes = [{**change_document(each.change), "why": each.why} for each in found.moves]
    return {"changes": changes, "out": str(found.out) if found.out else None}


def planned_text(found: Planned, width: int = MOST_COLUMNS) -> str:
    """What moves and why, and where the plan is; nothing where neither was asked for."""
    if found.plan is None:
        return ""
    from labctl.cli.plan_words import wrapped

    lines: list[str] = []
    if moved := change_sentences(found):
        lines += ["", *wrapped(moved[0], width=width)]
        for each in moved[1:]:
            lines += wrapped(each, indent="  ", later="      ", width=width)
    if found.out is not None:
        lines.append("")
        for each in _written(found.plan, found.out, is_new=found.is_new):
            lines += wrapped(each, width=width)
    return "".join(f"{line}\n" for line in lines)


def change_sentences(found: Planned) -> list[str]:
    """How much changes against the plan that is kept, and then each change; nothing where none is kept."""
    if found.kept is None or found.plan is None or found.moves is None:
        return []
    from labctl.cli.plan_words import Cards, change_line

    if not found.moves:
        return [f"Nothing changes against {found.kept.file}."]
    cards = Cards(found.kept.plan.places, found.plan.places)
    count = len(found.moves)
    head = f"Against {found.kept.file}, {count} {'change' if count == 1 else 'changes'}:"
    each = (
        change_line(move.change, cards) + (f": {cards.told(move.why)}" if move.why else "")
        for move in found.moves
    )
    return [head, *each]


def _written(plan: "Plan", out: Path, *, is_new: bool) -> Iterator[str]:
    placed, left = len(plan.workloads), len(plan.unplaced)
    what = f"{placed} of {placed + left} workloads" if left or placed < 2 else f"all {placed} workloads"
    yield f"{'The plan is in' if is_new else 'The plan is unchanged in'} {out}: {what}."
    if not plan.rig.bound:
        yield "It names cards by place, not by UUID: to apply it, place on the machine itself."
    if named := [f"{name}.{each}" for name, found in plan.workloads.items() for each in found.secrets]:
        yield f"Left out of it as secrets: {', '.join(named)}."
