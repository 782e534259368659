"""What a person reads from `labctl place`. Pure: a problem and its solution in, text out, within 80 columns."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from labctl.cli.fit_text import size, tokens
from labctl.cli.place_suggestions import suggestion_lines
from labctl.place.group import short_title
from labctl.place.placement import Placement
from labctl.place.power import power
from labctl.place.problem import Option, Reason
from labctl.place.solver_explain import Refused
from labctl.place.suggestion import Suggestion
from labctl.rig.rig import Rig

_WIDTH, _BAR = 80, 40
_REASONS: dict[Reason, str] = {
    "too_small": "the card is too small",
    "full": "others take too much of it",
    "fits_alone_but_outranked": "a workload of higher priority holds it",
    "too_few_on_host": "not enough such cards on this host",
    "compute_capability": "its engine needs a newer card",
    "dtype": "its engine has no kernels for this format there",
    "driver": "its engine needs a newer driver",
    "ram": "not enough RAM",
    "disk": "not enough disk",
    "port": "its port is taken",
    "psu": "the power supply would be overloaded",
    "pinned_elsewhere": "not allowed there, or its data is elsewhere",
    "exclusive": "it may not share that card",
    "mig": "the card is divided (MIG)",
    "compute_mode": "the card's compute mode keeps others out",
    "unknown_memory": "nobody knows how much memory it has",
}


def place_text(placement: Placement, found: Mapping[str, Sequence[Suggestion]] | None = None) -> str:
    """The verdict, a bar for each card, what runs how, power, and why the rest has no place.

    found: what would give it one, by workload; None where nobody looked.
    """
    rig = placement.question.rig
    lines = [
        *_verdict(placement),
        "",
        *_cards(placement),
        *_placed(placement),
        *_power(rig),
        *_refused(placement.refused, found or {}),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _verdict(placement: Placement) -> Iterator[str]:
    question, refused = placement.question, placement.refused
    count, where, rig = len(question.wishes), question.where, question.rig.name
    if refused:
        names = ", ".join(each.workload for each in refused)
        yield from _wrapped(f"No: {len(refused)} of {count} of {where} have no place on {rig}: {names}.")
    else:
        yield from _wrapped(f"Yes: all {count} of {where} fit on {rig}.")
    if not placement.solution.optimal:
        yield from _wrapped("A better placement may exist: the search stopped at its budget.")


def _cards(placement: Placement) -> Iterator[str]:
    usage, rig = placement.usage, placement.question.rig
    for card in rig.cards:
        usable = card.usable_mib or 0
        claims = {name: usage.placed[name].claims_mib[card.id] for name in usage.on(card.id)}
        total = usage.claimed_mib[card.id]
        yield f"{card.id} {short_title(card.gpu)}: {size(total)} of {size(usable)} usable"
        if usable:
            filled = min(_BAR, round(_BAR * total / usable))
            yield "  " + "█" * filled + "·" * (_BAR - filled)
        named = ", ".join(
            f"{name} {size(claim)}" for name, claim in sorted(claims.items(), key=lambda each: -each[1])
        )
        if named:
            yield from _wrapped(named, indent="  ")
    if rig.cards:
        yield ""


def _placed(placement: Placement) -> Iterator[str]:
    placed = placement.placed
    order = {each.name: (-each.priority, each.name) for each in placement.problem.workloads}
    for name in sorted(placed, key=lambda each: order[each]):
        yield from _wrapped(f"{name}: {_how(placed[name])}", later="    ")
    if placed:
        yield ""


def _how(option: Option) -> str:
    variant = option.variant
    words = [str(variant[key]) for key in ("quant",) if key in variant]
    if "context" in variant:
        words.append(f"context {tokens(variant['context'])} × {variant['parallel']}, KV {variant['kv_type']}")
    for key, said in (("n_cpu_moe", "experts of {} layers in RAM"), ("n_gpu_layers", "{} layers on cards")):
        if key in variant:
            words.append(said.format(variant[key]))
    if variant.get("n_gpu_layers") == 0 and not option.claims_mib:
        words[-1] = "on the processor"
    words.append(" + ".join(sorted(option.claims_mib)) or f"{option.host}, no card")
    words.append(f"{size(option.ram_mib)} of RAM")
    if option.decitokens_per_second is not None:
        words.append(f"{option.decitokens_per_second / 10:.0f} tokens/s")
    return ", ".join(words)


def _power(rig: Rig) -> Iterator[str]:
    for host in rig.hosts:
        found = power(host)
        supply = "" if found.psu_watts is None else f" of {found.psu_watts} W"
        yield from _wrapped(
            f"Power of {host.name}: cards {found.gpu_watts} W, the rest {found.system_watts} W, "
            f"together {found.gpu_watts + found.system_watts} W{supply}, spikes to {found.peak_watts} W"
        )
        if found.warning:
            yield from _wrapped(f"! {found.warning}", later="  ")


def _refused(refused: tuple[Refused, ...], found: Mapping[str, Sequence[Suggestion]]) -> Iterator[str]:
    for each in refused:
        yield ""
        yield f"{each.workload} has no place:"
        for refusal in each.refusals:
            where = refusal.card or refusal.host
            figures = ""
            if refusal.needs_mib is not None and refusal.card:
                figures = f" (needs {size(refusal.needs_mib)}, {size(refusal.free_mib or 0)} free)"
            yield from _wrapped(f"{where}: {_REASONS[refusal.reason]}{figures}", indent="  ", later="      ")
        yield from suggestion_lines(found.get(each.workload))


def _wrapped(text: str, indent: str = "", later: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )
