"""What `labctl place --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict

from labctl.errors import SCHEMA_VERSION
from labctl.place.power import power
from labctl.place.problem import Problem, Solution
from labctl.place.problem_limits import Usage
from labctl.place.solver_explain import Refused
from labctl.rig.rig import Rig


def place_document(
    problem: Problem, solution: Solution, refused: tuple[Refused, ...], rig: Rig
) -> dict[str, object]:
    """The answer as one JSON document. Every key is always there."""
    usage = Usage(problem, solution.choice)
    placed = [
        (name, problem.options[index]) for name, index in sorted(solution.choice.items()) if index is not None
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "placements": [
            {
                "workload": name,
                "host": option.host,
                "gpus": sorted(option.claims_mib),
                "memory_mib": dict(option.claims_mib),
                "host_memory_mib": option.ram_mib,
                "variant": dict(option.variant),
                "rank": option.rank,
                "tokens_per_second": None
                if option.decitokens_per_second is None
                else option.decitokens_per_second / 10,
            }
            for name, option in placed
        ],
        "unplaced": [
            {
                "workload": each.workload,
                "refusals": [
                    {
                        "gpu": refusal.card,
                        "host": refusal.host,
                        "needs_mib": refusal.needs_mib,
                        "free_mib": refusal.free_mib,
                        "reason": refusal.reason,
                    }
                    for refusal in each.refusals
                ],
                "suggestions": [],
            }
            for each in refused
        ],
        "gpus": [
            {
                "uuid": card.id,
                "model": card.gpu.name,
                "host": card.host,
                "memory_mib": card.memory_mib,
                "usable_mib": card.usable_mib,
                "claimed_mib": usage.claimed_mib[card.id],
            }
            for card in rig.cards
        ],
        "power": {host.name: asdict(power(host)) for host in rig.hosts},
        "tiers": [{"value": tier.value, "bound": tier.bound} for tier in solution.tiers],
        "optimal": solution.optimal,
    }
