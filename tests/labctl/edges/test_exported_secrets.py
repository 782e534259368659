"""What an export holds, and what is refused instead of it."""

import json

import pytest

from labctl.edges.age_file import decrypted, encrypted
from labctl.edges.exported_secrets import Exported, ExportedSecret, opened_export, sealed
from labctl.errors import BadInput

CANARY = "canary-91"
WORK = 4
EXPORT = Exported(
    "aibox",
    (
        ExportedSecret("files-db-password", "files", "random", b"AbC123"),
        ExportedSecret("pictures-hf-token", "pictures", "given", b"\xff\x00\n"),
    ),
)


def test_it_comes_back_as_it_was() -> None:
    assert opened_export(sealed(EXPORT, "a passphrase", WORK), "a passphrase", "x.age") == EXPORT


def test_text_is_readable_to_whoever_has_age_alone() -> None:
    inside = json.loads(decrypted(sealed(EXPORT, "a passphrase", WORK), "a passphrase", "x.age"))
    assert inside["schema_version"] == 1
    assert inside["secrets"][0] == {
        "name": "files-db-password",
        "workload": "files",
        "made": "random",
        "value": "AbC123",
    }
    assert inside["secrets"][1]["value_base64"] == "/wAK"


@pytest.mark.parametrize(
    "inside",
    [
        CANARY,
        "[]",
        f'{{"schema_version": 1, "host": "aibox", "secrets": ["{CANARY}"]}}',
        f'{{"schema_version": 1, "host": "aibox", "secrets": [{{"name": "{CANARY}"}}]}}',
        f'{{"schema_version": 1, "secrets": [{{"name": "{CANARY}", "workload": "x", "made": "x", "value": "x"}}]}}',
        '{"schema_version": 2, "host": "aibox", "secrets": []}',
    ],
)
def test_what_is_no_export_is_refused_and_not_quoted(inside: str) -> None:
    text = encrypted(inside.encode(), "a passphrase", WORK)
    with pytest.raises(BadInput) as refused:
        opened_export(text, "a passphrase", "x.age")
    assert CANARY not in str(refused.value)
