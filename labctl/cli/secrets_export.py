"""Writes a host's secrets to an encrypted file, and puts them back."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path

from labctl.cli.columns import wrapped
from labctl.cli.secrets_hosts import secrets_hosts
from labctl.cli.terminal import here, waiting
from labctl.edges.exported_secrets import Exported, ExportedSecret, opened_export, sealed
from labctl.edges.host_secrets import Outcome, Put
from labctl.edges.whole_file import write_whole
from labctl.errors import ANSWER_IS_NO, DONE, SCHEMA_VERSION, AnswerIsNo, BadInput
from labctl.render.names import without_version
from labctl.secret import Secret

_LEAST_CHARACTERS = 8
_MOST_BYTES = 64 * 1024 * 1024
_TOLD: dict[Outcome, str] = {
    "made": "put back",
    "changed": "replaced",
    "same": "there already, with the same value",
    "kept": "left as it is: the host has another value",
}


def exported(file: str, inventory: str, passphrase_file: str | None, *, replace: bool, as_json: bool) -> None:
    """Write the file. Raises BadInput for one that is there already, AnswerIsNo where there is nothing to write."""
    path = Path(file)
    if path.exists() and not replace:
        raise BadInput(
            "the file is there already", where=file, hint="name a new one, or say --replace to overwrite it"
        )
    with secrets_hosts(inventory) as found:
        host = found.only()
        there = {row.name: row for row in host.rows if row.there}
        called = {name: host.podman_name(name) for name in there}
        if not there:
            raise AnswerIsNo("the host has no secrets yet", where=host.name, hint="labctl apply makes them")
        passphrase = _new_passphrase(passphrase_file)
        values = host.secrets.reveal(called.values())
    secrets = tuple(
        ExportedSecret(name, row.workload, row.made, values[called[name]]) for name, row in there.items()
    )
    with waiting("encrypting"):
        text = sealed(Exported(host.name, secrets), passphrase)
    write_whole(path, text, "the export", private=True)
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "host": host.name, "file": file, "secrets": list(there)}
        print(json.dumps(document, indent=2))
        return
    count = f"{len(there)} secret{'' if len(there) == 1 else 's'}"
    print(f"{count} of {host.name}, encrypted: {file}")
    print(f"Without the passphrase nobody opens it. Back: labctl secrets import {file}")


def imported(file: str, inventory: str, passphrase_file: str | None, *, replace: bool, as_json: bool) -> int:
    """Put them back; returns the exit code: 3 where the host has another value of one."""
    text = _read(file)
    passphrase = _passphrase(passphrase_file, "passphrase")
    with waiting("decrypting"):
        export = opened_export(text, passphrase, file)
    with secrets_hosts(inventory) as found:
        host = found.only()
        puts = [
            Put(
                host.podman_name(each.name),
                each.workload,
                each.made,
                value=each.value,
                over="another value" if replace else "nothing",
            )
            for each in export.secrets
        ]
        outcomes = {without_version(name): outcome for name, outcome in host.secrets.put(puts).items()}
    code = ANSWER_IS_NO if "kept" in outcomes.values() else DONE
    if as_json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "host": host.name,
            "exported_from": export.host,
            "outcomes": outcomes,
            "exit_code": code,
        }
        print(json.dumps(document, indent=2))
        return code
    print("\n".join(_told(export, host.name, outcomes)))
    return code


def _told(export: Exported, host: str, outcomes: dict[str, Outcome]) -> list[str]:
    width = here().columns
    lines = [f"{host}: {len(outcomes)} secrets of {export.host}"]
    for name, outcome in outcomes.items():
        lines += wrapped(f"{name}: {_TOLD[outcome]}", width, "  ", "    ")
    if "kept" in outcomes.values():
        lines.append("Nothing was overwritten; --replace does that.")
    if "changed" in outcomes.values():
        lines.append("What runs keeps its old values until a restart: see `labctl secrets`.")
    return lines


def _read(file: str) -> str:
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_MOST_BYTES)
    except OSError as error:
        raise BadInput("the file cannot be read", where=file, found=error.strerror) from error
    return content.decode("ascii", "replace")


def _new_passphrase(file: str | None) -> str:
    passphrase = _passphrase(file, "new passphrase")
    if len(passphrase) < _LEAST_CHARACTERS:
        raise BadInput(
            "the passphrase is too short",
            where=file or "passphrase",
            found=f"{len(passphrase)} characters",
            expected=f"{_LEAST_CHARACTERS} or more; four random words are good",
        )
    if file is None and getpass.getpass("once more: ") != passphrase:
        raise BadInput("the two passphrases differ", where="passphrase", hint="nothing was written")
    return passphrase


def _passphrase(file: str | None, question: str) -> str:
    if file is not None:
        return Secret.file(file).reveal()
    if not sys.stdin.isatty():
        raise BadInput(
            "there is nobody to ask for the passphrase",
            where="--passphrase-file",
            found="no terminal",
            expected="a file whose content is the passphrase",
        )
    try:
        return getpass.getpass(f"{question}: ")
    except EOFError:
        return ""
