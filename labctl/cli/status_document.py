"""What `labctl status --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict

from labctl.errors import SCHEMA_VERSION
from labctl.status.advice import above_claim, suggestion
from labctl.status.host import HostStatus, WorkloadStatus


def status_document(hosts: tuple[HostStatus, ...], exit_code: int) -> dict[str, object]:
    """One JSON document. Every key is always there; null is what nobody knows."""
    return {
        "schema_version": SCHEMA_VERSION,
        "hosts": [_host(each) for each in hosts],
        "as_planned": None if any(each.problem for each in hosts) else all(each.as_planned for each in hosts),
        "exit_code": exit_code,
    }


def _host(host: HostStatus) -> dict[str, object]:
    last = host.last
    return {
        "name": host.name,
        "problem": host.problem,
        "generation": host.generation,
        "applied_at": host.applied_at,
        "as_planned": None if host.problem else host.as_planned,
        "workloads": [_workload(each) for each in host.workloads],
        "drift": {
            "edited": list(host.drift.edited),
            "missing": list(host.drift.missing),
            "foreign": list(host.drift.foreign),
            "hardware": [asdict(each) for each in host.drift.hardware],
            "units": [asdict(each) for each in host.drift.units],
        },
        "cards_problem": host.cards_problem,
        "open_transaction": host.open,
        "running_transaction": host.running,
        "last_transaction": None
        if last is None
        else {key: last.get(key) for key in ("transaction", "outcome", "generation", "ended_at", "error")},
    }


def _workload(each: WorkloadStatus) -> dict[str, object]:
    return {
        "workload": each.name,
        "service": each.planned.service,
        "state": each.now.state,
        "health": each.now.health,
        "detail": each.now.detail or None,
        "as_planned": each.now.as_planned and above_claim(each) is None,
        "since_seconds": each.seconds,
        "gpus": [
            {
                "gpu": use.card,
                "held_mib": use.held_mib,
                "low_mib": use.low_mib,
                "expected_mib": use.expected_mib,
                "claim_mib": use.claim_mib,
                "above_claim_mib": None
                if use.held_mib is None or each.planned.elastic
                else max(0, use.held_mib - use.claim_mib),
            }
            for use in each.cards
        ],
        "silent_gpus": list(each.silent_cards),
        "suggestion": suggestion(each),
        "ports": [
            {
                "address": "127.0.0.1",
                "port": port.host,
                "container_port": port.container,
                "protocol": port.protocol,
            }
            for port in each.ports
        ],
        "tokens_per_second": each.tokens_per_second,
        "units": [
            {"unit": unit.unit, "state": unit.state, "health": unit.health, "restarts": unit.restarts}
            for unit in each.now.units
        ],
    }
