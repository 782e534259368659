"""Why checks failed on a host: what their authors wrote down, chosen by what the host says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from labctl.doctor import clues
from labctl.doctor.clues import Asked, Clues
from labctl.doctor.explanation import explain as first_that_fits
from labctl.driver import report
from labctl.edges import events
from labctl.errors import Failed

if TYPE_CHECKING:
    from labctl.edges.held_shell import HeldShell
    from labctl.edges.verify_plugin import FailedCheck
    from labctl.hoststate.facts import HostFacts


def explain(
    failures: Iterable[FailedCheck],
    facts: HostFacts,
    shell: HeldShell,
    host: str,
    emit: Callable[[events.Event], None],
) -> None:
    """Emit an `Explained` for each failure that has one. One remote command, and that only where there are cards."""
    about = Clues("")
    if facts.driver_report:
        about = Clues("", report.parse(facts.driver_report), _asked(shell, host, emit))
    for each in failures:
        found = first_that_fits(each.explanations, replace(about, message=each.message))
        if found:
            emit(events.Explained(host, each.role, each.name, found.cause, found.fix))


def _asked(shell: HeldShell, host: str, emit: Callable[[events.Event], None]) -> Asked:
    """What the cards and the kernel say; nothing where the host gives no answer, which is said."""
    try:
        said = shell.run(clues.SCRIPT)
    except Failed as problem:
        emit(events.Note(host, "", f"the cards could not be asked: {problem}"))
        return Asked()
    return clues.parse(said.stdout.decode("utf-8", "replace"))
