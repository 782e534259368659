"""The limits that the cards have at this moment, whatever the unit says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes
from labctl.power.limits import Wanted
from roles.gpu_power.asked import AskedLimits, set_limits
from roles.gpu_power.host_limits import POWER, host_limits, snippets


@dataclass(frozen=True)
class CardLimits:
    """Every card that answers has its limit by nvidia-smi's own account.

    A unit that remains active after it ran hides a limit that was changed by hand; so the cards are asked. A card that
    does not answer is no difference, for nothing can be done about it here: the checks name it.
    """

    wanted: Wanted
    name: str = "limits in force"

    def probes(self) -> Probes:
        """What is asked of the cards."""
        return Probes(snippets=snippets(self.wanted))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Names the cards whose limit is another; only possible where the unit is about to run."""
        deviating = host_limits(self.wanted, seen.texts).deviating
        if not deviating:
            return None
        reasons = [f"{card.uuid} has {_shown(card.limit_watts)}, not {watts} W" for card, watts in deviating]
        more = f" (+{len(reasons) - 2} more)" if len(reasons) > 2 else ""
        certainty = Certainty.POSSIBLE if POWER.name in pending.other else Certainty.CERTAIN
        return Difference("; ".join(reasons[:2]) + more, certainty)

    def notes(self, seen: Observations) -> tuple[str, ...]:
        """The cards that are to be limited and do not answer."""
        unanswered = host_limits(self.wanted, seen.texts).unanswered
        return (unanswered,) if unanswered else ()

    def will_change(self, seen: Observations) -> Pending:
        """Its own name."""
        return Pending(other=frozenset({self.name}))

    def action(self, seen: Observations) -> Action:
        """Set what differs, card by card; fails when one of them refuses, with the others limited."""
        return Action(set_limits(host_limits(self.wanted, seen.texts).deviating))

    def digest(self) -> str:
        """A hash of what is asked for."""
        return digest_of(AskedLimits(self.wanted).words())


def _shown(watts: float | None) -> str:
    return "no limit that it tells" if watts is None else f"{watts:g} W"
