"""What is more than was claimed: what to write down, and measurements that later estimates are corrected by."""

from __future__ import annotations

import json
from collections.abc import Iterator

from labctl.plan.plan import Plan
from labctl.status.host import HostStatus, WorkloadStatus

# A declared claim is a whole number of these, a little more than what was seen: the next request may be longer.
_STEP_MIB, _ON_TOP = 256, 0.03
# Engines whose estimates are corrected by measurements, `labctl.edges.measured.MEASURED`; a job of training ends.
_CORRECTED = ("llama.cpp", "vllm")


def above_claim(each: WorkloadStatus) -> int | None:
    """The most MiB that it holds on a card where that is more than its claim; None where it keeps to it."""
    if each.planned.elastic:
        return None
    over = [use.held_mib for use in each.cards if use.held_mib is not None and use.held_mib > use.claim_mib]
    return max(over, default=None)


def suggestion(each: WorkloadStatus) -> str | None:
    """What to do about memory above the claim; None where there is none."""
    held = above_claim(each)
    if held is None:
        return None
    vram = _rounded(held)
    if each.planned.variant.get("engine") in _CORRECTED:
        return (
            f"`labctl status --save-measured measured.yaml` and `labctl fit --measured measured.yaml` correct the "
            f"estimate; or write `vram_mib: {vram}` under {each.name} in workloads.yaml. Then place and apply again."
        )
    return f"Write `vram_mib: {vram}` under {each.name} in workloads.yaml, then place and apply again."


def _rounded(held_mib: int) -> int:
    wanted = held_mib * (1 + _ON_TOP)
    return int(-(-wanted // _STEP_MIB) * _STEP_MIB)


def measured(hosts: tuple[HostStatus, ...], day: str) -> str | None:
    """Measurements as `labctl fit --measured` reads them: of what runs healthy now. None where nothing can be told.

    day: as 2026-11-21.
    """
    entries = [
        entry
        for host in hosts
        if host.plan is not None
        for each in host.workloads
        for entry in _entry(host.name, host.plan, each, day)
    ]
    if not entries:
        return None
    # JSON is YAML, and quotes by itself.
    lines = [f"  - {json.dumps(entry, ensure_ascii=False)}" for entry in entries]
    return "\n".join(("# Measured by `labctl status --save-measured`.", "measurements:", *lines, ""))


def _entry(host: str, plan: Plan, each: WorkloadStatus, day: str) -> Iterator[dict[str, object]]:
    variant, held = each.planned.variant, [use.held_mib for use in each.cards]
    if variant.get("engine") not in _CORRECTED or not each.planned.model or not each.now.as_planned:
        return
    amounts = [amount for amount in held if amount]
    if not amounts or len(amounts) < len(held) or each.now.state != "running":
        return
    model = next(
        card.model for known in plan.rig.hosts for card in known.cards if card.id == each.cards[0].card
    )
    yield {
        "engine": variant["engine"],
        "model": each.planned.model,
        "quant": variant["quant"],
        "card": model,
        "n_gpus": len(held),
        "context": variant["context"],
        "parallel": variant["parallel"],
        "kv_type": variant.get("kv_type", "f16"),
        "meter": "process",
        "total_mib": max(amounts),
        **({"tokens_per_second": round(each.tokens_per_second, 1)} if each.tokens_per_second else {}),
        "source": f"labctl status: {each.name} on {host}, {day}",
    }
