"""What `labctl diff --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict

from labctl.cli.plan_words import change_document
from labctl.errors import SCHEMA_VERSION
from labctl.plan.diff import PlanDiff
from labctl.plan.live import LiveDiff, Seen, is_read


def plans_document(found: PlanDiff, before: str, after: str) -> dict[str, object]:
    """Two plans. Every key is always there."""
    return {
        "schema_version": SCHEMA_VERSION,
        "before": before,
        "after": after,
        "same": found.same,
        "workloads": [change_document(each) for each in found.workloads],
        "gpus": [
            {
                "gpu": each.card,
                "host": each.host,
                "claimed_before_mib": each.claimed_before_mib,
                "claimed_after_mib": each.claimed_after_mib,
            }
            for each in found.cards
        ],
        "hardware": [asdict(each) for each in found.hardware],
    }


def live_document(found: LiveDiff, plan: str, seen: Seen, problems: tuple[str, ...]) -> dict[str, object]:
    """A plan and what is there. Every key is always there. same: null where a host did not answer."""
    return {
        "schema_version": SCHEMA_VERSION,
        "before": plan,
        "after": "live" if seen.running else "rig",
        "same": None if found.same and not all(map(is_read, seen.hosts)) else found.same,
        "hosts": [each.host.name for each in seen.hosts],
        "hardware": [asdict(each) for each in found.hardware],
        "units": [asdict(each) for each in found.units],
        "not_seen": list(found.unseen),
        "not_looked_at": list(found.not_looked_at),
        "problems": list(problems),
    }
