"""What `labctl power --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict

from labctl.cli.power_tried import HostTried, Tried
from labctl.errors import SCHEMA_VERSION
from labctl.power.limits import Wanted
from labctl.rig.power_curve import WORKS


def power_document(hosts: tuple[HostTried, ...], wanted: Wanted, *, live: bool) -> dict[str, object]:
    """One JSON document. Every key is always there; null is what nobody knows. live: read now, not from a file."""
    return {
        "schema_version": SCHEMA_VERSION,
        "live": live,
        "tried": bool(wanted),
        "setting": setting(wanted),
        "hosts": [
            {
                "name": each.live.host.name,
                "gpus": [_gpu(row) for row in each.cards],
                "power": asdict(each.power),
                "problems": list(each.live.problems),
            }
            for each in hosts
        ],
    }


def setting(wanted: Wanted) -> dict[str, object] | None:
    """The inventory's `gpu_power` that sets what was tried; None where nothing was."""
    if not wanted:
        return None
    found: dict[str, object] = {}
    if wanted.limits:
        found["limits"] = dict(wanted.limits)
    if wanted.budget_watts is not None:
        found["budget_watts"] = wanted.budget_watts
    return found


def _gpu(row: Tried) -> dict[str, object]:
    return {
        "id": row.card.id,
        "index": row.card.index,
        "model": row.card.gpu.name,
        "limit_watts": row.watts,
        "limit_now_watts": row.now_watts,
        "default_watts": row.powered.default_watts,
        "min_watts": row.powered.min_watts,
        "max_watts": row.powered.max_watts,
        "draw_watts": row.draw_watts,
        "speed_kept": {work: None if (kept := row.kept(work)) is None else round(kept, 4) for work in WORKS},
        "measured_on": {work: row.measured_on(work) for work in WORKS},
    }
