"""What `labctl power` prints for people: a line per card, the power supply, and how to make it so. 80 columns. Pure."""

import json
import textwrap
from collections.abc import Iterable, Iterator

from labctl.cli.gpus_text import WIDTH, card_name
from labctl.cli.power_document import setting
from labctl.cli.power_tried import HostTried, Tried
from labctl.power.limits import Wanted
from labctl.rig.power_curve import WORKS, Work

_HEAD = (
    f"{'#':>2} {'card':20}{'limit W':>11}{'default':>9}{'range':>11}{'draw':>6}{'decode':>9}{'prefill':>9}"
)


def power_text(hosts: tuple[HostTried, ...], wanted: Wanted) -> str:
    """Every host: its cards and the speed they keep, its power supply; then the setting, where one was tried."""
    blocks = ["\n".join(line.rstrip() for line in _host(each)) for each in hosts]
    if wanted:
        blocks.append("\n".join(_how(hosts, wanted)))
    return "\n\n".join(blocks) + "\n"


def _host(tried: HostTried) -> Iterator[str]:
    host = tried.live.host
    yield _cut(f"{host.name} · {len(tried.cards)} card{'s' if len(tried.cards) != 1 else ''}", WIDTH)
    if tried.cards:
        yield _HEAD
    yield from map(_line, tried.cards)
    borrowed = sorted({
        (on, row.card.gpu.name) for row in tried.cards for work in WORKS
        if (on := row.measured_on(work)) is not None and _is_borrowed(row, work)
    })  # fmt: skip
    if borrowed:
        yield from _wrapped(
            f"~ nobody measured this on {_listed(name for _, name in borrowed)}: as on "
            f"{_listed(on for on, _ in borrowed)}, in proportion to the default limit"
        )
    if tried.cards:
        yield from _supply(tried)
    for problem in tried.live.problems:
        yield from _wrapped(f"! {problem}")


def _line(row: Tried) -> str:
    card = row.powered
    limit = "–" if row.watts is None else str(row.watts)
    if row.watts != row.now_watts:
        limit = f"{row.now_watts} → {limit}"
    known = card.default_watts and (card.min_watts is not None or card.max_watts is not None)
    between = f"{_or(card.min_watts, '?')}–{_or(card.max_watts, '?')}" if known else "–"
    draw = "–" if row.draw_watts is None else f"{row.draw_watts:.0f}"
    return (
        f"{row.card.index:>2} {_cut(card_name(row.card.gpu), 20):20}{limit:>11}{_or(card.default_watts, '–'):>9}"
        f"{between:>11}{draw:>6}{_kept(row, 'decode'):>9}{_kept(row, 'prefill'):>9}"
    )


def _kept(row: Tried, work: Work) -> str:
    """Rounded down: a card under a limit does not keep 100 %."""
    kept = row.kept(work)
    return "–" if kept is None else f"{int(100 * kept + 1e-9)} %{'~' if _is_borrowed(row, work) else ' '}"


def _is_borrowed(row: Tried, work: Work) -> bool:
    """At the default limit nothing is lost, whoever measured it."""
    return row.measured_on(work) not in (None, row.card.gpu.name) and (row.kept(work) or 1) < 1


def _supply(tried: HostTried) -> Iterator[str]:
    found = tried.power
    total = found.gpu_watts + found.system_watts
    supply = "" if found.psu_watts is None else f" of the power supply's {found.psu_watts} W"
    yield from _wrapped(
        f"Together {total} W{supply}: cards {found.gpu_watts} W, the rest {found.system_watts} W; "
        f"spikes to {found.peak_watts} W"
    )
    if found.psu_watts is None:
        yield from _wrapped("What the power supply gives is not known: psu_watts in a rig file says it.")
    if found.warning:
        yield from _wrapped(f"! {found.warning}")


def _how(hosts: tuple[HostTried, ...], wanted: Wanted) -> Iterator[str]:
    names = " and ".join(each.live.host.name for each in hosts if each.cards) or "the host"
    yield from _wrapped(f"Nothing was changed. To make it so, in the inventory for {names}:")
    yield f'  "gpu_power": {json.dumps(setting(wanted))}'
    if any("/" in name for name in wanted.limits):
        yield "  with the cards' UUIDs in place of HOST/NUMBER (labctl gpus --json)"
    yield "then: labctl deploy"


def _or(value: int | None, otherwise: str) -> str:
    return otherwise if value is None else str(value)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
