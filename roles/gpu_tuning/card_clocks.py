"""The locks that cards have at this moment, as far as that can be known."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes
from labctl.power.clocks import WantedClocks
from roles.gpu_tuning.asked import AskedClocks, lock_clocks
from roles.gpu_tuning.host_clocks import TUNING, host_clocks, snippets


@dataclass(frozen=True)
class CardClocks:
    """Every card that answers was locked since boot, and none runs above its lock.

    A card that does not answer is no difference, for nothing can be done about it here: the checks name it.
    """

    wanted: WantedClocks
    name: str = "locks in force"

    def probes(self) -> Probes:
        """What is asked of the cards, and what was noted."""
        return Probes(snippets=snippets(self.wanted))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Names the cards that are not locked; only possible where the unit is about to run."""
        deviating = host_clocks(self.wanted, seen.texts).deviating
        if not deviating:
            return None
        more = f" (+{len(deviating) - 2} more)" if len(deviating) > 2 else ""
        reasons = "; ".join(f"{each.card.uuid} {each.how}" for each in deviating[:2])
        certainty = Certainty.POSSIBLE if TUNING.name in pending.other else Certainty.CERTAIN
        return Difference(reasons + more, certainty)

    def notes(self, seen: Observations) -> tuple[str, ...]:
        """The cards that are to be locked and do not answer."""
        unanswered = host_clocks(self.wanted, seen.texts).unanswered
        return (unanswered,) if unanswered else ()

    def will_change(self, seen: Observations) -> Pending:
        """Its own name."""
        return Pending(other=frozenset({self.name}))

    def action(self, seen: Observations) -> Action:
        """Lock what is not locked, card by card; fails when one of them refuses, with the others locked."""
        return Action(
            lock_clocks(each.line.arguments for each in host_clocks(self.wanted, seen.texts).deviating)
        )

    def digest(self) -> str:
        """A hash of what is asked for."""
        return digest_of(AskedClocks(self.wanted).words())
