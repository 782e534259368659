"""What `labctl secrets export` writes: JSON under a passphrase, as an age file."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from labctl.edges.age_file import WORK_FACTOR, decrypted, encrypted
from labctl.edges.host_secrets import Made
from labctl.errors import SCHEMA_VERSION, BadInput

_KEYS = {"name", "workload", "made"}


@dataclass(frozen=True)
class ExportedSecret:
    """One secret with its value."""

    name: str
    workload: str
    made: Made
    value: bytes


@dataclass(frozen=True)
class Exported:
    """All of a host's."""

    host: str
    secrets: tuple[ExportedSecret, ...]


def sealed(exported: Exported, passphrase: str, work_factor: int = WORK_FACTOR) -> str:
    """The file."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "host": exported.host,
        "secrets": [
            {"name": each.name, "workload": each.workload, "made": each.made, **_written(each.value)}
            for each in exported.secrets
        ],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return encrypted(text.encode(), passphrase, work_factor)


def opened_export(text: str, passphrase: str, where: str) -> Exported:
    """What a file holds. Raises BadInput, which quotes nothing of it."""
    content = decrypted(text, passphrase, where)
    try:
        document = json.loads(content)
        version = document["schema_version"]
        secrets = tuple(_read(each) for each in document["secrets"])
        host = str(document["host"])
    except (ValueError, KeyError, TypeError):
        raise BadInput(
            "it opens, but holds no secrets of labctl",
            where=where,
            hint="`labctl secrets export FILE` writes one",
        ) from None
    if version != SCHEMA_VERSION:
        raise BadInput(
            "exported by another version of labctl",
            where=where,
            found=f"schema_version {version}",
            expected=str(SCHEMA_VERSION),
        )
    return Exported(host, secrets)


def _written(value: bytes) -> Mapping[str, str]:
    """Readable where it is text: somebody may have only age at hand."""
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"value_base64": base64.b64encode(value).decode()}


def _read(each: Mapping[str, Any]) -> ExportedSecret:
    if each["made"] not in get_args(Made) or not all(isinstance(each[key], str) for key in _KEYS):
        raise ValueError
    value = base64.b64decode(each["value_base64"]) if "value_base64" in each else each["value"].encode()
    return ExportedSecret(each["name"], each["workload"], each["made"], value)
