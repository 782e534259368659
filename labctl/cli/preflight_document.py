"""What `labctl preflight --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from dataclasses import asdict
from typing import Any

from labctl.driver.decision import Decision, Preflight
from labctl.edges.preflights import Unreached
from labctl.errors import SCHEMA_VERSION


def preflight_document(found: tuple[Preflight | Unreached, ...], exit_code: int) -> dict[str, object]:
    """One JSON document. Every key is always there; null is what nobody knows, or what there is not."""
    return {
        "schema_version": SCHEMA_VERSION,
        "hosts": [_host(each) if isinstance(each, Preflight) else _unreached(each) for each in found],
        "exit_code": exit_code,
    }


def _unreached(each: Unreached) -> dict[str, object]:
    keys = ("system", "cards", "kernel", "secure_boot", "driver", "decision", "obstacles", "notes")
    return {"name": each.name, "go": False, "error": each.problem} | dict.fromkeys(keys)


def _host(found: Preflight) -> dict[str, object]:
    host = found.host
    return {
        "name": host.name,
        "go": found.go,
        "error": None,
        "system": {
            "id": host.os_id,
            "version": host.os_version,
            "arch": host.arch,
            "vm": host.vm,
            "container": host.container,
            "wsl": host.wsl,
            "root_free_mib": host.root_free_mib,
            "boot_free_mib": host.boot_free_mib,
        },
        "cards": [
            {
                "pci": card.card.slot,
                "device": card.card.device,
                "title": card.title,
                "models": list(card.models),
                "architecture": card.generation,
                "certain": card.certain,
                "held_by": card.card.driver,
            }
            for card in found.cards
        ],
        "kernel": {"running": asdict(host.running), "next_boot": asdict(host.next_boot)},
        "secure_boot": asdict(host.secure_boot),
        "driver": {
            "came": host.came,
            "loaded": host.loaded,
            "loaded_flavour": host.loaded_flavour,
            "packages": [each.name for each in host.module_packages],
            "nouveau": host.nouveau,
        },
        "decision": _decision(found.decision) if found.decision else None,
        "obstacles": [
            {"code": each.code, "message": each.message, "way_out": each.way_out} for each in found.obstacles
        ],
        "notes": list(found.notes),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    values = asdict(decision)
    values["system"] = decision.system.name
    values["cuda"] = decision.cuda.model_dump() if decision.cuda else None
    values["repository"] = decision.repository
    values["key"] = decision.system.key.model_dump() if decision.repository else None
    return values
