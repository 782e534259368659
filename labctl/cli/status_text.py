"""What a person reads from `labctl status`. Pure, within 80 columns; what is not as planned begins with `!`."""

from collections.abc import Iterator

from labctl.cli import columns
from labctl.cli.diff_live_text import unit_line
from labctl.cli.diff_text import hardware_line
from labctl.cli.fit_text import rate, size
from labctl.cli.plan_words import WIDTH, Cards, wrapped
from labctl.status.advice import suggestion
from labctl.status.host import CardUse, HostStatus, WorkloadStatus
from labctl.status.words import seconds_words

_MOST_NAME = 20


def status_text(hosts: tuple[HostStatus, ...]) -> str:
    """A block for every host."""
    return "\n".join("".join(f"{line}\n" for line in _host(each)) for each in hosts)


def _host(host: HostStatus) -> Iterator[str]:
    if host.problem:
        yield from wrapped(f"! {host.name} could not be asked: {host.problem}", later="  ")
        return
    cards = Cards(host.plan.places if host.plan else {})
    yield from wrapped(_head(host), later="  ")
    width = max((min(_MOST_NAME, len(each.name)) for each in host.workloads), default=0)
    for each in host.workloads:
        yield from _workload(each, cards, width)
    complaints = list(_complaints(host, cards))
    if complaints:
        yield ""
    for complaint, way_out in complaints:
        yield from wrapped(f"! {complaint}", later="  ")
        if way_out:
            yield from wrapped(f"→ {way_out}", indent="  ", later="    ")


def _head(host: HostStatus) -> str:
    if host.generation is None:
        return f"{host.name}: nothing is in force yet; `labctl apply` puts a plan there."
    since = f" since {host.applied_at[:16].replace('T', ' ')} UTC" if host.applied_at else ""
    verdict = "as planned" if host.as_planned else "not as planned"
    return f"{host.name}: {verdict} · generation {host.generation}{since}"


def _workload(each: WorkloadStatus, cards: Cards, width: int) -> Iterator[str]:
    mark = " " if each.now.as_planned else "!"
    later = " " * (width + 4)
    yield from wrapped(f"{mark} {each.name:{width}}  {_state(each)}", later=later)
    said = [_memory(use, each, cards) for use in each.cards]
    if each.tokens_per_second is not None:
        said.append(f"{rate(each.tokens_per_second)} tokens/s")
    said += [
        f"127.0.0.1:{port.host}{'' if port.protocol == 'tcp' else f'/{port.protocol}'}" for port in each.ports
    ]
    if said:
        # A part stays whole.
        whole = " · ".join(part.replace(" ", "\xa0") for part in said)
        yield from columns.wrapped(whole, WIDTH, indent=later)


def _state(each: WorkloadStatus) -> str:
    now = each.now
    is_away = now.state in ("waits", "aside")
    state = "stepped aside" if now.state == "aside" else str(now.state)
    detail = now.detail if is_away or not now.detail else f"({now.detail})"
    words = [f"{state} {detail}".rstrip()]
    if now.health and now.state in ("running", "starting"):
        words.append(now.health if now.health != "starting" else "not healthy yet")
    if each.seconds is not None and not is_away:
        words.append(f"for {seconds_words(each.seconds)}")
    return ", ".join(words)


def _memory(use: CardUse, each: WorkloadStatus, cards: Cards) -> str:
    of = "takes what is free" if each.planned.elastic else f"claim {size(use.claim_mib)}"
    if use.expected_mib != use.claim_mib:
        of = f"expected {size(use.expected_mib)}, {of}"
    if not use.held_mib and each.now.state != "running":
        return f"{cards.name(use.card)}: {of}"
    held = "unknown" if use.held_mib is None else size(use.held_mib)
    return f"{cards.name(use.card)}: {held} ({of})"


def _complaints(host: HostStatus, cards: Cards) -> Iterator[tuple[str, str | None]]:
    """What is wrong, and what to do."""
    yield from _transaction(host)
    for each in host.workloads:
        if not each.now.as_planned:
            yield _not_well(each, cards)
    if host.cards_problem:
        yield f"The cards of {host.name} could not be asked: {host.cards_problem}", None
    by_unit = {unit.unit: each for each in host.workloads for unit in each.now.units}
    for found in host.drift.units:
        owner = by_unit.get(found.unit)
        way_out = suggestion(owner) if owner and found.kind == "above_claim" else None
        yield unit_line(found, cards), way_out
    for change in host.drift.hardware:
        yield hardware_line(change, cards), "Plan again: labctl place, then labctl apply."
    for paths, what, way_out in (
        (host.drift.edited, "was edited by hand", "The next `labctl apply` puts it right and keeps a copy."),
        (host.drift.missing, "is gone", "The next `labctl apply` puts it back."),
        (host.drift.foreign, "is of no generation", "Move it away, if nothing needs it."),
    ):
        for path in paths:
            yield f"{path} {what}", way_out


def _transaction(host: HostStatus) -> Iterator[tuple[str, str | None]]:
    if host.running:
        yield f"An apply is under way: {host.running}", None
    elif host.open:
        yield (
            f"An apply did not end: {host.open}",
            "The host undoes it at its next boot; the next `labctl apply` does it now.",
        )
    elif host.last and host.last.get("error"):
        error = host.last["error"]
        where = f"{error['where']}: " if error.get("where") else ""
        yield f"The last apply was {host.last['outcome']}: {where}{error['message']}", error.get("hint")


def _not_well(each: WorkloadStatus, cards: Cards) -> tuple[str, str]:
    name = each.name
    if each.silent_cards and each.now.state in ("failed", "starting"):
        silent = " and ".join(cards.name(card) for card in each.silent_cards)
        out = " ".join(f"--without {card}" for card in each.silent_cards)
        words = f"{name} cannot start: {silent} {'do' if len(each.silent_cards) > 1 else 'does'} not answer"
        return words, f"`labctl place {out}` and `labctl apply` move it."
    match each.now.state:
        case "stopped":
            return f"{name} was stopped", f"`labctl start {name}`"
        case "starting":
            return f"{name} is starting", f"`labctl logs {name} --follow` shows how far it is."
        case "not there":
            return f"{name} is not there", "`labctl apply` puts it back."
        case _:
            what = "failed" if each.now.state == "failed" else "is not healthy"
            return f"{name} {what}", f"`labctl logs {name}` says why."
