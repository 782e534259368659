"""The secrets of a host's services: Podman's, made where they are kept, and seen here only when a person asks.

Values go to the host by standard input and come from it by standard output. A random one is made on the host and never
leaves it unless it is asked for. Labels say whose it is and how it was made; Podman keeps the rest.
"""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labctl.edges import podman_secrets
from labctl.edges.held_shell import HeldShell
from labctl.errors import BadInput, Failed

if TYPE_CHECKING:
    from labctl.render.render import NeededSecret

Made = Literal["random", "given", "written"]
Over = Literal["nothing", "another value", "anything"]
Outcome = Literal["made", "changed", "same", "kept"]

_WORKLOAD, _MADE = "labctl.workload", "labctl.made"
MOST_BYTES = 511_999
"""What Podman takes: less than 512 000 bytes (containers/common, pkg/secrets)."""


@dataclass(frozen=True)
class Put:
    """A secret to be made on the host: a random one of so many `characters`, or this `value`.

    over: what may be replaced. `another value` leaves one that is the same as it is.
    """

    name: str
    workload: str
    made: Made
    value: bytes | None = None
    characters: int | None = None
    over: Over = "nothing"


@dataclass(frozen=True)
class SecretThere:
    """One of the host's, without its value. workload, made: None where no labctl made it."""

    name: str
    workload: str | None
    made: Made | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class UnitWithSecrets:
    """A unit of ours that takes secrets. started_at: seconds since 1970; None for one that does not run."""

    unit: str
    secrets: tuple[str, ...]
    active: bool
    started_at: int | None


@dataclass(frozen=True)
class SecretsSeen:
    """What a host has. secrets: all of Podman's, by name. plan: the text of the one in force, None before the first."""

    secrets: Mapping[str, SecretThere]
    units: tuple[UnitWithSecrets, ...]
    plan: str | None


class HostSecrets:
    """Podman's secrets of the host that `shell` is a root shell of. Each method is one remote command."""

    def __init__(self, host: str, shell: HeldShell) -> None:
        self._host = host
        self._shell = shell

    def names(self) -> frozenset[str]:
        """Of all of Podman's secrets, whoever made them."""
        return frozenset(self.look().secrets)

    def look(self) -> SecretsSeen:
        """Every secret but its value. Changes nothing. Raises Failed."""
        found = self._ask({"do": "look"})
        secrets = [_there(each) for each in found["secrets"]]
        units = [
            UnitWithSecrets(each["unit"], tuple(each["secrets"]), each["active"], each["started_at"])
            for each in found["units"]
        ]
        return SecretsSeen({each.name: each for each in secrets}, tuple(units), found["plan"])

    def make(self, needed: Sequence[NeededSecret], written: Mapping[str, str]) -> tuple[str, ...]:
        """Make what is not there yet, `written` ones also where their value is another; the names of those touched.

        written: values by secret's name; one that is not among them has to be there already, as a `given` one has.
        Raises BadInput, before anything is made, for one that is in neither place; Failed.
        """
        puts = [
            Put(
                each.name,
                each.workload,
                each.made,
                value=written[each.name].encode() if each.name in written else None,
                characters=each.characters if each.made == "random" else None,
                over="another value" if each.made == "written" else "nothing",
            )
            for each in needed
        ]
        outcomes = self.put(puts)
        return tuple(name for name, outcome in outcomes.items() if outcome in ("made", "changed"))

    def put(self, puts: Sequence[Put]) -> dict[str, Outcome]:
        """Make or change them in this order; what became of each, by name. Raises BadInput and Failed.

        A Put with neither value nor characters only has to be there. Cut off in between, the same call does the rest.
        """
        if not puts:
            return {}
        for each in puts:
            _refuse_bad_size(each)
        answer = self._ask({"do": "put", "secrets": [_asked(each) for each in puts]})
        if answer["missing"]:
            raise BadInput(
                "a secret has no value",
                where=f"{self._host}: {', '.join(answer['missing'])}",
                found="neither on the host nor given here",
                hint=f"labctl secrets set {answer['missing'][0]}",
            )
        return dict(answer["outcomes"])

    def prune(self) -> tuple[str, ...]:
        """Remove values of `written` secrets that no generation takes any more; the newest of each stays. Their names.

        Raises Failed.
        """
        return tuple(self._ask({"do": "prune"})["removed"])

    def reveal(self, names: Collection[str]) -> dict[str, bytes]:
        """Their values, by name. Raises Failed for one that is not there."""
        if not names:
            return {}
        values = self._ask({"do": "reveal", "names": sorted(names)})["values"]
        return {name: base64.b64decode(value) for name, value in values.items()}

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        program = Path(podman_secrets.__file__).read_text(encoding="utf-8")
        done = self._shell.run(f"python3 -I -c {shlex.quote(program)}", stdin=json.dumps(request))
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            # Its own words could quote what it was given.
            found = f"no answer, exit status {done.exit_status}"
            raise Failed("the host's secrets cannot be read", where=self._host, found=found) from None
        if "problem" in answer:
            raise Failed(
                "Podman cannot do this with the host's secrets",
                where=self._host,
                found=answer["problem"],
                hint="is Podman there? `labctl deploy` installs it; try `podman secret ls` on the host as root",
            )
        return dict(answer)


def _there(each: Mapping[str, Any]) -> SecretThere:
    labels = each["labels"]
    return SecretThere(
        name=each["name"],
        workload=labels.get(_WORKLOAD),
        made=labels.get(_MADE),
        created_at=datetime.fromisoformat(each["created_at"]),
        updated_at=datetime.fromisoformat(each["updated_at"]),
    )


def _asked(put: Put) -> dict[str, Any]:
    return {
        "name": put.name,
        "labels": {_WORKLOAD: put.workload, _MADE: put.made},
        "value": None if put.value is None else base64.b64encode(put.value).decode(),
        "characters": put.characters,
        "over": put.over,
    }


def _refuse_bad_size(put: Put) -> None:
    if put.value is not None and not 0 < len(put.value) <= MOST_BYTES:
        raise BadInput(
            "Podman keeps no such secret",
            where=put.name,
            found=f"{len(put.value)} bytes",
            expected=f"1 to {MOST_BYTES} bytes",
        )
