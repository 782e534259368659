"""Hosts taken to where they are to go: shown, asked about, followed to the end, and told as a document.

The same for `labctl apply` and `labctl rollback`.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labctl.cli.apply_document import applied_document
from labctl.cli.apply_text import ended_text, target_text
from labctl.cli.plan_words import wrapped
from labctl.cli.question import refuse_unasked, says_yes
from labctl.edges.applying import Begun, HostApply, Target
from labctl.edges.exit_codes import combined
from labctl.edges.host_transactions import Followed
from labctl.errors import DONE, Failed, Interrupted, LabctlError


@dataclass
class HostRun:
    """One host of a run. followed: how it ended, None where nothing was begun."""

    name: str
    apply: HostApply
    target: Target
    begun: Begun | None = None
    followed: Followed | None = None
    problem: LabctlError | None = None

    @property
    def exit_code(self) -> int:
        """As `labctl.errors` defines them."""
        if self.problem is not None:
            return self.problem.exit_code
        if self.followed is not None:
            return self.followed.exit_code
        return combined(each.exit_code for each in self.target.refusals)


@dataclass(frozen=True)
class Manner:
    """How a person asked. question: what they are asked where something would change."""

    mode: str
    question: str
    yes: bool
    as_json: bool


def carry_out(
    runs: Sequence[HostRun], manner: Manner, told: Callable[[str], str] = str, notes: Sequence[str] = ()
) -> int:
    """Show, ask, do; returns the exit code. told: puts names for cards. Raises BadInput where nobody can be asked."""
    to_do = [run for run in runs if not run.target.is_none]
    refused = any(run.target.refusals for run in runs)
    if not refused and to_do and not manner.yes:
        refuse_unasked(manner.mode)
    shown = sys.stderr if manner.as_json else sys.stdout
    for run in runs:
        print(target_text(run.name, run.target, told), end="", file=shown)
    for note in notes:
        print(f"note: {note}", file=shown)
    if refused:
        # All of a plan or nothing: half of it may use the other half.
        print("Nothing was touched.", file=shown)
    elif to_do:
        if not manner.yes and not says_yes(manner.question):
            raise Failed("stopped at a question; nothing was touched")
        _do(to_do, told, lambda line: print(line, file=shown, flush=True), many=len(runs) > 1)
    code = combined(run.exit_code for run in runs) if refused or to_do else DONE
    if manner.as_json:
        print(json.dumps(applied_document(manner.mode, runs, notes, code), indent=2, ensure_ascii=False))
    return code


def _do(
    runs: Sequence[HostRun], told: Callable[[str], str], say: Callable[[str], object], *, many: bool
) -> None:
    """All hosts begin, and then each is followed to its end: they work at the same time."""
    for run in runs:
        try:
            run.begun = run.apply.begin(run.target)
        except LabctlError as problem:
            run.problem = problem
    for run in runs:
        try:
            _follow(run, _spoken(told, say, f"{run.name}: " if many else ""))
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted; what was begun goes on by itself",
                where=run.name,
                hint="labctl apply again follows it",
            ) from None
        say(told(ended_text(run.name, run.followed, run.problem)))


def _follow(run: HostRun, say: Callable[[str], object]) -> None:
    if run.begun is None:
        return
    try:
        run.followed = run.apply.follow(run.begun, say)
    except LabctlError as problem:
        run.problem = problem


def _spoken(told: Callable[[str], str], say: Callable[[str], object], prefix: str) -> Callable[[str], object]:
    """Lines of the host's, but for a log's: that is told at the end, beside what came of it."""

    def line(text: str) -> None:
        if not text.startswith("  "):
            for each in wrapped(told(prefix + text)):
                say(each)

    return line
