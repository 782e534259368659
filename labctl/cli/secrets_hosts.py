"""The hosts whose secrets a command is about, and the one among them that a name belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from labctl.cli.secrets_rows import Row, rows
from labctl.edges import catalog
from labctl.edges.held_shell import HeldShell
from labctl.edges.host_secrets import HostSecrets, SecretsSeen
from labctl.edges.host_shells import host_shells, opened
from labctl.errors import BadInput, LabctlError
from labctl.plan.plan_json import load
from labctl.render.known_secrets import KnownSecret, known_secrets
from labctl.workloads.service import Service

_PLAN = "the plan in force"


@dataclass(frozen=True)
class SecretsHost:
    """One host and what it has."""

    name: str
    secrets: HostSecrets
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row | None:
        """Of a secret; None where there is none of that name."""
        return next((each for each in self.rows if each.name == name), None)

    def podman_name(self, name: str) -> str:
        """What Podman calls it: a version of it, where there are several."""
        row = self.row(name)
        return row.there.name if row and row.there else name


@dataclass
class SecretsHosts:
    """Of an inventory. problems: by the host that could not be read; plan_problems: whose plan could not be."""

    inventory: str
    hosts: list[SecretsHost] = field(default_factory=list)
    problems: dict[str, LabctlError] = field(default_factory=dict)
    plan_problems: dict[str, LabctlError] = field(default_factory=dict)

    def only(self) -> SecretsHost:
        """The one there is. Raises BadInput for several, and what stands in its way."""
        self._refuse_unread()
        if len(self.hosts) != 1:
            raise BadInput(
                "which host is meant?",
                where="--inventory",
                found=f"{len(self.hosts)} hosts: {', '.join(each.name for each in self.hosts)}",
                expected=f"{self.inventory}:{self.hosts[0].name}",
            )
        return self.hosts[0]

    def having(self, name: str) -> tuple[SecretsHost, Row]:
        """The host that a secret belongs to, there or not yet. Raises BadInput where there is none, or several."""
        if not (found := self.known(name)):
            self._refuse_unread()
            names = sorted({row.name for host in self.hosts for row in host.rows})
            close = difflib.get_close_matches(name, names, 1)
            raise BadInput(
                "no secret of this name",
                where="labctl secrets",
                found=name,
                expected=f"{close[0]}?" if close else ", ".join(names) or "none: nothing was applied yet",
            )
        if len(found) > 1:
            raise BadInput(
                "several hosts have a secret of this name",
                where=name,
                found=", ".join(host.name for host, _ in found),
                expected=f"--inventory {self.inventory}:{found[0][0].name}",
            )
        return found[0]

    def known(self, name: str) -> list[tuple[SecretsHost, Row]]:
        """Each host that has it or whose plan speaks of it."""
        return [(host, row) for host in self.hosts if (row := host.row(name))]

    def _refuse_unread(self) -> None:
        for problem in self.problems.values():
            raise problem


@contextmanager
def secrets_hosts(inventory: str) -> Iterator[SecretsHosts]:
    """Connect to the hosts of an inventory and look at each."""
    services = {each.name: each for each in catalog.services()}
    with host_shells(inventory) as shells:
        yield _looked_at(inventory, shells, services)


def _looked_at(
    inventory: str, shells: Mapping[str, HeldShell | LabctlError], services: Mapping[str, Service]
) -> SecretsHosts:
    found = SecretsHosts(inventory)
    for name, shell in shells.items():
        try:
            secrets = HostSecrets(name, opened(shell))
            seen = secrets.look()
        except LabctlError as problem:
            found.problems[name] = problem
            continue
        known: Mapping[str, KnownSecret] = {}
        try:
            known = _known(seen, name, services)
        except BadInput as problem:  # of a newer labctl, perhaps: the values can still be read
            found.plan_problems[name] = problem
        found.hosts.append(SecretsHost(name, secrets, rows(seen, known)))
    return found


def _known(seen: SecretsSeen, host: str, services: Mapping[str, Service]) -> Mapping[str, KnownSecret]:
    if seen.plan is None:
        return {}
    return known_secrets(load(seen.plan, f"{host}: {_PLAN}"), host, services)
