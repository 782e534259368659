"""What `labctl models … --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from labctl.edges.host_models import Folder, Pulled
from labctl.edges.model_hosts import Seen
from labctl.errors import SCHEMA_VERSION, LabctlError
from labctl.render.model_need import LeftOut


def list_document(found: Mapping[str, Seen | LabctlError], exit_code: int) -> dict[str, object]:
    """One JSON document. Every key is always there; null is what nobody knows."""
    return {
        "schema_version": SCHEMA_VERSION,
        "hosts": [
            {"name": name, "folder": None, "free_bytes": None, "models": None, "error": error(each)}
            if isinstance(each, LabctlError)
            else {"name": name, **folder_document(each.folder, each.units), "error": None}
            for name, each in found.items()
        ],
        "exit_code": exit_code,
    }


def folder_document(folder: Folder, units: Mapping[str, tuple[str, ...]]) -> dict[str, object]:
    """What lies on one host."""
    return {
        "folder": folder.path,
        "free_bytes": folder.free_bytes,
        "models": [{**asdict(each), "units": list(units.get(each.place, ()))} for each in folder.models],
    }


def pull_document(
    hosts: Sequence[tuple[str, str | None, tuple[Pulled, ...], tuple[LeftOut, ...], LabctlError | None]],
    exit_code: int,
) -> dict[str, object]:
    """Of each host: its name, folder, what became of the models, what is left to a person, and why nothing was done."""
    return {
        "schema_version": SCHEMA_VERSION,
        "hosts": [
            {
                "name": name,
                "folder": folder,
                "models": [_pulled(each) for each in pulled],
                "left_out": [asdict(each) for each in left],
                "error": error(problem) if problem else None,
            }
            for name, folder, pulled, left, problem in hosts
        ],
        "exit_code": exit_code,
    }


def error(problem: LabctlError) -> dict[str, Any]:
    """As every document says an error."""
    told = problem.to_json()["error"]
    assert isinstance(told, dict)
    return told


def _pulled(each: Pulled) -> dict[str, object]:
    return {
        "place": each.place,
        "outcome": each.outcome,
        "bytes": each.bytes,
        "error": error(each.error) if each.error else None,
    }
