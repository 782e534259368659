"""Lists a host's secrets, shows one, keeps one that a person gives, makes a new one."""

from __future__ import annotations

import base64
import getpass
import json
import sys

from labctl.cli.secrets_document import secrets_document
from labctl.cli.secrets_hosts import SecretsHost, SecretsHosts, secrets_hosts
from labctl.cli.secrets_rows import Row
from labctl.cli.secrets_text import secrets_text
from labctl.cli.terminal import here
from labctl.edges import catalog
from labctl.edges.host_secrets import Made, Put
from labctl.errors import DONE, FAILED, SCHEMA_VERSION, AnswerIsNo, BadInput
from labctl.render.known_secrets import given_to


def listed(inventory: str, *, as_json: bool) -> int:
    """Print what there is; returns the exit code: 1 where a host could not be read."""
    with secrets_hosts(inventory) as found:
        problems = {**found.plan_problems, **found.problems}
        code = FAILED if problems else DONE
        if as_json:
            by_host = {host.name: host.rows for host in found.hosts}
            told = {name: str(problem) for name, problem in problems.items()}
            print(json.dumps(secrets_document(by_host, told, code), indent=2))
            return code
        terminal = here()
        blocks = [secrets_text(host.name, host.rows, terminal.columns) for host in found.hosts]
        print(terminal.spelled("\n".join(blocks)), end="")
        for problem in problems.values():
            print(f"labctl: {problem}", file=sys.stderr)
        return code


def shown(name: str, inventory: str, *, as_json: bool) -> None:
    """Print the value: on a terminal with a line end, into a pipe or file as it is."""
    with secrets_hosts(inventory) as found:
        host, row = found.having(name)
        if row.there is None:
            raise _not_there(host, row)
        value = host.secrets.reveal([row.there.name])[row.there.name]
    if as_json:
        print(json.dumps(_value_document(host, row, value), indent=2))
        return
    if sys.stdout.isatty():
        print(f"{host.name}: {row.known.what if row.known else name}", file=sys.stderr)
        value += b"\n"
    sys.stdout.flush()
    sys.stdout.buffer.write(value)


def kept(name: str, inventory: str, *, as_json: bool) -> None:
    """Ask for a value and keep it. Raises BadInput for a secret that labctl makes itself."""
    with secrets_hosts(inventory) as found:
        host, row, workload, made = _settable(found, name)
        put = Put(host.podman_name(name), workload, made, value=_asked_value(name), over="another value")
        outcome = host.secrets.put([put])[put.name]
    if outcome == "same":
        said, then = "has this value already; nothing changed", None
    elif row and row.units:
        said, then = "is kept", f"labctl restart {workload}"
    else:
        said, then = "is kept", "labctl apply"
    _say(host, name, (outcome, said, then), as_json=as_json)


def rotated(name: str, inventory: str, *, as_json: bool) -> None:
    """Make a new value. Raises AnswerIsNo where a restart is not all that it takes."""
    with secrets_hosts(inventory) as found:
        host, row = found.having(name)
        if row.there is None:
            raise _not_there(host, row)
        known = row.known
        if known is None:
            raise AnswerIsNo(
                "no plan in force takes this secret, so nobody knows how it is changed",
                where=f"{host.name}: {name}",
            )
        if known.made != "random":
            raise BadInput(
                "only you have a new value of this one",
                where=f"{host.name}: {name}",
                hint=f"labctl secrets set {name}",
            )
        if known.changed_by != "restart":
            way = known.procedure
            raise AnswerIsNo(
                f"labctl does not change this one: {known.service} keeps it in its own data, too",
                where=f"{host.name}: {name}",
                hint=f"change it there: {way}"
                if way
                else f"no way to change it there is documented for {known.service}",
            )
        put = Put(name, known.workload, "random", characters=known.characters, over="anything")
        outcome = host.secrets.put([put])[name]
    then = f"labctl restart {known.workload}" if row.units else None
    _say(host, name, (outcome, "has a new value", then), as_json=as_json)


def _settable(found: SecretsHosts, name: str) -> tuple[SecretsHost, Row | None, str, Made]:
    """The host, what it has, whose it is and how it is made. Raises BadInput."""
    if not found.known(name):
        services = {each.name: each for each in catalog.services()}
        if given := given_to(name, services):
            return found.only(), None, given.workload, "given"
    host, row = found.having(name)
    made = row.known.made if row.known else row.made
    if made == "random":
        raise BadInput(
            "labctl makes this one itself", where=f"{host.name}: {name}", hint=f"labctl secrets rotate {name}"
        )
    return host, row, row.workload, made


def _asked_value(name: str) -> bytes:
    if sys.stdin.isatty():
        try:
            value = getpass.getpass(f"{name}: ").encode()
        except EOFError:
            value = b""
    else:
        value = sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise BadInput("no value was given", where=name, hint=f"labctl secrets set {name} < FILE")
    return value


def _say(host: SecretsHost, name: str, what: tuple[str, str, str | None], *, as_json: bool) -> None:
    outcome, said, then = what
    if as_json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "host": host.name,
            "name": name,
            "outcome": outcome,
            "next": then,
        }
        print(json.dumps(document, indent=2))
        return
    print(f"{host.name}: {name} {said}.")
    if then:
        print(f"It takes effect with: {then}")


def _value_document(host: SecretsHost, row: Row, value: bytes) -> dict[str, object]:
    try:
        text, encoded = value.decode(), None
    except UnicodeDecodeError:
        text, encoded = None, base64.b64encode(value).decode()
    return {
        "schema_version": SCHEMA_VERSION,
        "host": host.name,
        "name": row.name,
        "workload": row.workload,
        "value": text,
        "value_base64": encoded,
    }


def _not_there(host: SecretsHost, row: Row) -> AnswerIsNo:
    is_made = row.known is not None and row.known.made == "random"
    return AnswerIsNo(
        "the host does not have this secret yet",
        where=f"{host.name}: {row.name}",
        hint="labctl apply makes it" if is_made else f"labctl secrets set {row.name}",
    )
