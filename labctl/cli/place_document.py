"""What `labctl place --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from labctl.cli.place_rows import far_sentences
from labctl.cli.place_suggestions import suggestion_documents
from labctl.errors import SCHEMA_VERSION
from labctl.place.faster import Faster
from labctl.place.placement import Placement
from labctl.place.power import power
from labctl.place.suggestion import Suggestion


def place_document(
    placement: Placement,
    found: Mapping[str, Sequence[Suggestion]] | None = None,
    slow: Sequence[Faster] = (),
) -> dict[str, object]:
    """The answer as one JSON document. Every key is always there.

    found: suggestions, by workload. slow: what would run faster otherwise.
    """
    usage, rig, solution = placement.usage, placement.question.rig, placement.solution
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
            for name, option in placement.placed.items()
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
                "suggestions": suggestion_documents((found or {}).get(each.workload)),
            }
            for each in placement.refused
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
        "faster": [
            {
                "workload": each.workload,
                "change": f"{each.workload}.offload: false",
                "tokens_per_second": {"now": each.now_decitokens / 10, "then": each.then_decitokens / 10},
                "variant": dict(each.option.variant),
            }
            for each in slow
        ],
        "notes": list(far_sentences(placement)),
        "assumptions": list(placement.question.assumptions),
    }
