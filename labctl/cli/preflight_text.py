"""What `labctl preflight` prints for people: what is there, what will be installed, what stands in the way. Pure."""

import textwrap
from collections.abc import Iterator

from labctl.driver.decision import Decision, Preflight
from labctl.driver.host import DriverHost
from labctl.driver.support import KnownCard
from labctl.edges.preflights import Unreached

WIDTH = 80
_LABEL = 13


def preflight_text(found: tuple[Preflight | Unreached, ...]) -> str:
    """A block for every host. 80 columns."""
    blocks = ["\n".join(_host(each) if isinstance(each, Preflight) else _unreached(each)) for each in found]
    return "\n\n".join(blocks) + "\n"


def _unreached(each: Unreached) -> Iterator[str]:
    yield f"{each.name}: no answer"
    yield from _wrapped(each.problem, "! ", "  ")


def _host(found: Preflight) -> Iterator[str]:
    host = found.host
    yield from _wrapped(" · ".join(_headline(host)), "", "  ")
    yield from _cards(found.cards)
    yield from _row("kernel", _kernel(host))
    yield from _row("driver now", _driver_now(host))
    yield ""
    if found.decision:
        yield from _decision(found.decision)
    for note in found.notes:
        yield from _wrapped(note, "  note: ", "        ")
    if found.obstacles:
        yield "In the way:"
        for each in found.obstacles:
            yield from _wrapped(each.message, "  ✗ ", "    ")
            yield from _wrapped(each.way_out, "    → ", "      ")
    yield _answer(found)


def _answer(found: Preflight) -> str:
    if not found.go:
        return "No: nothing was changed."
    return "Nothing to do." if found.decision and found.decision.in_place else "Go."


def _headline(host: DriverHost) -> Iterator[str]:
    yield host.name
    yield f"{host.os_id.capitalize()} {host.os_version}"
    if host.arch != "x86_64":
        yield host.arch
    state = {True: "on", False: "off", None: "unknown"}[host.secure_boot.enabled]
    yield f"Secure Boot {state}"
    if host.root_free_mib is not None:
        boot = f", /boot {host.boot_free_mib} MiB" if host.boot_free_mib is not None else ""
        yield f"free: / {host.root_free_mib / 1024:.0f} GiB{boot}"


def _cards(cards: tuple[KnownCard, ...]) -> Iterator[str]:
    """Cards of one kind share a line."""
    kinds: dict[tuple[str, str | None, str | None], list[str]] = {}
    for card in cards:
        kinds.setdefault((card.title, card.generation, card.card.driver), []).append(card.card.slot)
    for (title, generation, driver), slots in kinds.items():
        count = f"{len(slots)} × " if len(slots) > 1 else ""
        held = f", held by {driver}" if driver else ""
        yield from _row("card", f"{count}{title} ({generation or 'unknown'}{held}) at {', '.join(slots)}")
    if not cards:
        yield from _row("card", "none")


def _kernel(host: DriverHost) -> str:
    following = host.next_boot
    also = (
        "boots next, too" if following.release == host.running.release else f"{following.release} boots next"
    )
    return f"{host.running.release}, {also}; headers {following.headers}"


def _driver_now(host: DriverHost) -> str:
    whose = {
        None: "none",
        "nvidia": "from NVIDIA's repository",
        "distribution": "the distribution's own",
        "run": "from NVIDIA's .run installer",
        "built": "built by hand",
    }[host.came]
    loaded = (
        f", {host.loaded} ({host.loaded_flavour}) loaded"
        if host.loaded
        else ", not loaded"
        if host.came
        else ""
    )
    return f"{whose}{loaded}" + (", nouveau loaded" if host.nouveau else "")


def _decision(decision: Decision) -> Iterator[str]:
    whose = "NVIDIA's repository" if decision.source == "nvidia" else f"{decision.system.name}'s archive"
    done = "Installed" if decision.in_place else "To install"
    yield from _wrapped(f"{done}: driver {decision.branch} ({decision.standing}) from {whose}", "", "  ")
    made = "built here by dkms" if decision.modules == "dkms" else "ready-made and signed"
    yield from _row("module", f"{decision.flavour}, {made}")
    yield from _row("packages", " ".join((*decision.first, *decision.packages, *decision.headers)))
    if decision.remove:
        yield from _row("removes", " ".join(decision.remove))
    cuda = decision.cuda
    yield from _row(
        "CUDA",
        f"{cuda.package} ({cuda.version})" if cuda else f"in containers only: {decision.containers_only}",
    )
    yield from _row("Secure Boot", decision.secure_boot)
    yield from _row("reboot", f"yes: {decision.reboot}" if decision.reboot else "not needed")
    yield from _row("because", "; ".join(decision.reasons))
    if decision.unverified:
        yield from _row("not checked", "; ".join(decision.unverified))


def _row(label: str, text: str) -> list[str]:
    return _wrapped(text, f"  {label:{_LABEL - 2}} ", " " * (_LABEL + 1))


def _wrapped(text: str, first: str, then: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
