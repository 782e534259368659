"""A condition of the running system that is neither a file, a package nor a unit."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes


@dataclass(frozen=True)
class Condition:
    """`probe` (sh) must print `wanted`, white space aside; where it prints something else, `apply` (sh) is run as root.

    `problem` is what a person reads when it does not hold; without it, what was found and wanted is shown.
    Installing one of the packages in `settled_by`, or writing one of the files in `reads`, may make the condition hold
    by itself: until then it is only possible that `apply` will run.
    """

    name: str
    probe: str
    wanted: str
    apply: str
    problem: str | None = None
    settled_by: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()

    @property
    def _key(self) -> str:
        return "condition " + self.name

    def probes(self) -> Probes:
        """The snippet."""
        return Probes(snippets=((self._key, self.probe),))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Shows what was found against what is wanted."""
        found, wanted = seen.texts[self._key].split(), self.wanted.split()
        if found == wanted:
            return None
        settles = pending.packages.intersection(self.settled_by) or pending.paths.intersection(self.reads)
        return Difference(
            self.problem or f"{_short(found) or 'nothing'}, not {_short(wanted) or 'nothing'}",
            Certainty.POSSIBLE if settles else Certainty.CERTAIN,
        )

    def will_change(self, seen: Observations) -> Pending:
        """Its own name."""
        return Pending(other=frozenset({self.name}))

    def action(self, seen: Observations) -> Action:
        """The script as given."""
        return Action(f"set -eu\n{self.apply}\n")

    def digest(self) -> str:
        """A hash of what is wanted."""
        return digest_of([self.name, self.wanted, self.probe, self.apply])


def _short(words: list[str]) -> str:
    text = " ".join(words)
    return text if len(text) <= 60 else text[:57] + "…"
