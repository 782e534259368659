"""What a person reads from `labctl advise`. Pure: the advice in, text out, within 80 columns."""

from collections.abc import Iterator

from labctl.cli.columns import wrapped
from labctl.cli.fit_text import size
from labctl.place.additions import slots
from labctl.place.advice import Advice, Advised
from labctl.place.drivers import no_common_driver
from labctl.place.group import short_title
from labctl.place.placement import Placement
from labctl.place.prices import GIVEN, Money
from labctl.rig.rig import Host

_WIDTH = 80
# Where the second line of a purchase begins.
_BELOW = " " * 13


def advise_text(advice: Advice) -> str:
    """The verdict, purchases as a table, what they do to speed, and what was not checked."""
    lines = list(_verdict(advice))
    if advice.before.refused:
        lines += _purchases(advice) if advice.found else _nothing(advice)
        lines += _notes(advice)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _verdict(advice: Advice) -> Iterator[str]:
    question, refused = advice.before.question, advice.before.refused
    if not refused:
        yield from _wrapped(
            f"Nothing to buy: all {len(question.wishes)} of {question.where} fit on {question.rig.name} as it is."
        )
        return
    names = ", ".join(each.workload for each in refused)
    have = "has" if len(refused) == 1 else "have"
    missing = f"{names} of {question.where} {have} no place on {question.rig.name}"
    if advice.found:
        yield from _wrapped(f"{missing}. With these cards all of it fits, cheapest first:")
    else:
        within = f" for {_budget(advice)}" if advice.over_budget else ""
        yield from _wrapped(f"No: {missing}, and nothing in the catalogue makes all of it fit{within}.")


def _budget(advice: Advice) -> str:
    return str(Money(advice.market.budget or 0.0, advice.market.currency))


def _purchases(advice: Advice) -> Iterator[str]:
    for found, heading in (
        (advice.now, "With the power supply it has:" if advice.with_psu else ""),
        (advice.with_psu, "With a larger power supply, whose own price comes on top:"),
    ):
        if found:
            yield ""
            if heading:
                yield heading
            yield f"{'price':>11}  {'cards':<32} {'draws':>7}  {'tokens/s':>8}"
            for each in found:
                yield from _purchase(advice, each)
    first = (*advice.now, *advice.with_psu)[0]
    yield ""
    yield from _wrapped(f"Speed with the first: {_speeds(advice.before, first.placement)}.")


def _purchase(advice: Advice, advised: Advised) -> Iterator[str]:
    addition = advised.addition
    price = "unknown" if advised.cost is None else str(Money(advised.cost, advice.market.currency))
    cards = f"{addition.count} × {short_title(addition.gpu)}"
    if len(advice.before.question.rig.hosts) > 1:
        cards += f" in {addition.host}"
    speed = f"{advised.tokens_per_second:.0f}" if advised.tokens_per_second else "-"
    yield f"{price:>11}  {cards:<32} {addition.watts:>5} W  {speed:>8}"
    yield from _wrapped("; ".join(_conditions(advised)), indent=_BELOW)


def _conditions(advised: Advised) -> Iterator[str]:
    """What goes with a purchase, beside its price."""
    addition = advised.addition
    if addition.replaced:
        why = any(no_common_driver((card.gpu, addition.gpu)) for card in addition.replaced)
        cards = ", ".join(f"{short_title(card.gpu)} {card.id}" for card in addition.replaced)
        yield f"instead of {cards}" + (", as no driver runs both" if why else "")
    if addition.limits:
        held = sorted(addition.limits.items())
        yield "held to less: " + ", ".join(f"{card} {watts} W" for card, watts in held)
    wanted = addition.gpu.pcie_lanes or 0
    if addition.lanes and (narrow := sorted(lanes for lanes in addition.lanes if lanes < min(wanted, 8))):
        yield f"one in a slot of {narrow[0]} lanes, slow to load"
    psu, peak = addition.power.psu_watts, addition.power.peak_watts
    if addition.psu_watts_needed is not None:
        spikes = f", {peak} W with spikes" if peak > addition.psu_watts_needed else ""
        yield f"needs {addition.psu_watts_needed} W of power supply or more{spikes}"
    elif psu is not None and peak > psu:
        yield f"spikes reach {peak} W, and the power supply gives {psu} W: it may switch off"


def _speeds(before: Placement, after: Placement) -> str:
    """Of every workload with a speed, then and now."""
    said = []
    for name, option in after.placed.items():
        if option.decitokens_per_second is None:
            continue
        old = before.placed.get(name)
        was = (
            ""
            if old is None or old.decitokens_per_second is None
            else f"{old.decitokens_per_second / 10:.0f} → "
        )
        said.append(f"{name} {was}{option.decitokens_per_second / 10:.0f} tokens/s")
    return ", ".join(said) or "nobody can say"


def _nothing(advice: Advice) -> Iterator[str]:
    """Why, and what comes nearest."""
    rig = advice.before.question.rig
    for short in advice.short:
        what, more = (
            ("RAM", f"try --ram {-(-short.needs_mib // 1024)}") if short.what == "ram" else ("disk", "")
        )
        yield from _point(
            f"All of it takes {size(short.needs_mib)} of {what} at least, and {rig.hosts[0].name} has "
            f"{size(short.has_mib)}: no card helps" + (f"; {more}" if more else "")
        )
    if not advice.short and advice.largest is None:
        yield from _point(f"{', '.join(host.name for host in rig.hosts)} takes no further card")
    if advice.largest is not None:
        usable = sum(card.usable_mib or 0 for card in advice.largest.rig.cards)
        most = f"{advice.largest.count} × {short_title(advice.largest.gpu)}"
        for refused in advice.before.refused:
            asked = advice.asked_mib.get(refused.workload, 0)
            if asked > usable:
                yield from _point(
                    f"{refused.workload}: its weights alone take {size(asked)} on cards; the most there can be "
                    f"is {size(usable)}, with {most}"
                )
    if advice.closest is not None:
        left = ", ".join(each.workload for each in advice.closest.placement.refused)
        yield ""
        yield from _wrapped(f"The nearest that can be had leaves {left} without a place:")
        yield from _purchase(advice, advice.closest)


def _notes(advice: Advice) -> Iterator[str]:
    if advice.over_budget is not None:
        yield ""
        yield f"Over the budget of {_budget(advice)}:"
        yield from _purchase(advice, advice.over_budget)
    hosts = advice.before.question.rig.hosts
    for host in hosts:
        if unknown := list(_unknown(host)):
            yield ""
            yield from _wrapped(
                f"Not checked, as the rig does not say it: {' and '.join(unknown)} of {host.name}."
            )
    if not advice.complete:
        yield ""
        yield from _wrapped("The search stopped at its budget: something else may do.")
    unpriced = sorted(
        {each.addition.gpu.name for each in (*advice.now, *advice.with_psu) if each.price is None}
    )
    if unpriced:
        yield ""
        over = " and may be over the budget" if advice.market.budget is not None else ""
        yield from _wrapped(
            f"No price in {advice.market.currency} is known of {', '.join(unpriced)}, which come last{over}: "
            f"--price {unpriced[0]}=AMOUNT."
        )
    shown = [each for each in (*advice.now, *advice.with_psu, advice.over_budget) if each is not None]
    if any(each.price and each.price.source != GIVEN for each in shown):
        yield ""
        seen = sorted({_seen(each) for each in shown if each.price and each.price.source != GIVEN})
        name = next(each.addition.gpu.name for each in shown if each.price)
        yield from _wrapped(f"Prices as seen: {', '.join(seen)}. Today's: --price {name}=AMOUNT.")


def _unknown(host: Host) -> Iterator[str]:
    if slots(host) is None:
        yield "slots (pcie_slots)"
    if host.psu_watts is None:
        yield "the power supply (psu_watts)"


def _seen(advised: Advised) -> str:
    price = advised.price
    assert price is not None
    kind = {True: " used", False: " new", None: ""}[price.used]
    return f"{short_title(advised.addition.gpu)}{kind}" + (f" {price.seen}" if price.seen else "")


def _point(text: str) -> list[str]:
    return _wrapped(f"- {text}", later="  ")


def _wrapped(text: str, indent: str = "", later: str | None = None) -> list[str]:
    return wrapped(text, _WIDTH, indent, later)
