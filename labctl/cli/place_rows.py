"""The tables of an answer, as words: what runs how, what it takes, what may still be better. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from labctl.cli.fit_text import rate, tokens
from labctl.cli.place_picture import cards_named, window
from labctl.place.faster import Faster
from labctl.place.fit import SHARED
from labctl.place.options import Wish
from labctl.place.placement import Placement
from labctl.place.problem import Option, Value, Workload
from labctl.place.sites import MOST_SHARED, tries_every_group
from labctl.rig.rig import Card

# Of the seven tiers, what an open bound leaves possible.
_OPEN = (
    "more workloads may have a place",
    "fewer may have to move",
    "wishes may be met better",
    "it may run faster",
    "fewer linked cards may be split up",
    "fewer cards may do",
    "more may stay free on one card",
)


@dataclass(frozen=True)
class Row:
    """One placed workload.

    where: its cards, or its host. plain: it needs no card and loads no model, so there is nothing to say of how.
    speed: of one request, tokens/s; None where nobody knows.
    """

    name: str
    where: str
    plain: bool
    host: str
    how: str
    speed: str | None
    ram_mib: int


def rows(placement: Placement) -> tuple[Row, ...]:
    """The plain ones last; by priority as the person set it, then by name."""
    workloads = {each.name: each for each in placement.problem.workloads}
    wishes = {wish.workload.name: wish for wish in placement.question.wishes}
    cards = {card.id: card for card in placement.question.rig.cards}
    found = [
        _row(workloads[name], wishes[name], option, cards, _aside(placement, name))
        for name, option in placement.placed.items()
    ]
    return tuple(sorted(found, key=lambda row: (row.plain, -workloads[row.name].priority, row.name)))


def verdict(placement: Placement) -> str:
    """Yes or no in one sentence."""
    question, refused = placement.question, placement.refused
    count, where, rig = len(question.wishes), question.where, question.rig.name
    names = ", ".join(each.workload for each in refused)
    if count == 1:
        name = question.wishes[0].workload.name
        return (
            f"No: {name} of {where} has no place on {rig}."
            if refused
            else f"Yes: {name} of {where} fits on {rig}."
        )
    if not refused:
        return f"Yes: all {count} of {where} fit on {rig}."
    have = "has" if len(refused) == 1 else "have"
    return f"No: {len(refused)} of {count} of {where} {have} no place on {rig}: {names}."


def faster_sentences(placement: Placement, found: Sequence[Faster]) -> Iterator[str]:
    """What would run faster, and what to write for that."""
    wishes = {wish.workload.name: wish for wish in placement.question.wishes}
    for each in found:
        how = ", ".join(_how(wishes[each.workload], each.option))
        now, then = rate(each.now_decitokens / 10), rate(each.then_decitokens / 10)
        yield (
            f"{each.workload} does {now} tokens/s with layers in RAM, and would do {then} with "
            f"`{each.workload}.offload: false`: {how}."
        )


def far_sentences(placement: Placement) -> Iterator[str]:
    """Workloads that use one on another host, and what to write for that."""
    hosts = {name: option.host for name, option in placement.placed.items()}
    for wish in placement.question.wishes:
        name = wish.workload.name
        for other in wish.workload.uses:
            if name in hosts and other in hosts and hosts[other] != hosts[name]:
                yield (
                    f"{name} on {hosts[name]} uses {other} on {hosts[other]}, which it cannot reach from there: "
                    f"`labctl apply` refuses it. Write `{name}.gpus: {{host: {hosts[other]}}}`."
                )


def proof(placement: Placement) -> str:
    """Whether a better placement may exist, and in which way."""
    solution = placement.solution
    if solution.optimal and _tries_every_group(placement):
        return "No better placement exists: proven."
    if solution.optimal:
        return "No better placement exists of those tried: with so many cards not every group of them is."
    open_tier = next((n for n, tier in enumerate(solution.tiers) if tier.value != tier.bound), None)
    if open_tier is None:
        return "A better placement may exist: the search stopped at its budget."
    tier = solution.tiers[open_tier]
    how_far = f" ({_figure(open_tier, tier.value)} here, at most {_figure(open_tier, tier.bound)})"
    figures = how_far if open_tier == 3 else ""
    return f"A better placement may exist: {_OPEN[open_tier]}{figures}; the search stopped at its budget."


def _tries_every_group(placement: Placement) -> bool:
    question = placement.question
    for wish in question.wishes:
        several = 1 if wish.candidate is None or wish.candidate.engine not in SHARED else MOST_SHARED
        most = several if wish.workload.gpus.count is None else wish.workload.gpus.count
        if most > 1 and not all(tries_every_group(host.cards, most) for host in question.rig.hosts):
            return False
    return True


def _figure(tier: int, value: Value) -> str:
    """Tier 4 counts tenths."""
    return f"{value / 10:.0f} tokens/s" if tier == 3 and isinstance(value, int) else str(value)


def _row(
    workload: Workload, wish: Wish, option: Option, cards: Mapping[str, Card], aside: tuple[str, ...]
) -> Row:
    speed = option.decitokens_per_second
    used = [cards[each] for each in option.claims_mib if each in cards]
    return Row(
        name=workload.name,
        where=cards_named(used) or option.host,
        plain=not option.claims_mib and wish.workload.model is None,
        host=option.host,
        how=", ".join((*_how(wish, option), *_when(workload), *aside)),
        speed=None if speed is None else rate(speed / 10),
        ram_mib=option.ram_mib,
    )


def _how(wish: Wish, option: Option) -> Iterator[str]:
    """The model in its format, and how it is run; of what has none, the service."""
    asked, variant = wish.workload, option.variant
    if asked.model is None:
        yield _printable(asked.image or wish.service.title)
        return
    training = asked.training.method if asked.training else None
    head = (_printable(PurePath(asked.model).name), training, variant.get("quant"))
    yield " ".join(str(each) for each in head if each)
    if asked.training:
        yield f"{asked.training.batch}\xa0×\xa0{tokens(asked.training.sequence)}\xa0tokens"
    elif "context" in variant:
        yield f"context\xa0{tokens(variant['context'])}\xa0×\xa0{variant['parallel']}"
        yield f"KV\xa0{variant['kv_type']}"
    if "tensor_parallel" in variant:
        yield f"tensor parallel {variant['tensor_parallel']}"
    if "n_cpu_moe" in variant:
        yield f"experts of {variant['n_cpu_moe']} layers in RAM"
    if not option.claims_mib:
        yield "on the processor"
    elif "n_gpu_layers" in variant:
        yield f"{variant['n_gpu_layers']} layers on the card, the others in RAM"


def _printable(text: str) -> str:
    """A file may hold codes that move a terminal's cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)


def _when(workload: Workload) -> Iterator[str]:
    """When a job runs; in whose place it does is said beside its bar."""
    if workload.is_job:
        yield window(workload) or "at any time"


def _aside(placement: Placement, name: str) -> tuple[str, ...]:
    """The jobs that a workload stops for, where no bar says it: they run on other cards."""
    placed = placement.placed
    jobs = [each for each in placement.problem.workloads if name in each.displaces and each.name in placed]
    apart = [job for job in jobs if not set(placed[job.name].claims_mib) & set(placed[name].claims_mib)]
    return tuple(f"stops for {job.name}" for job in apart)
