"""Roles as pyinfra deploys: typed settings in, one operation per resource, one survey for all, a receipt last."""

from __future__ import annotations

import contextlib
import runpy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pyinfra.api.deploy import deploy
from pyinfra.api.exceptions import DeployError
from pyinfra.context import host

import labctl
from labctl.edges import inventory_settings
from labctl.edges.bundle import deploy_file
from labctl.edges.host_session import HostSession
from labctl.edges.pyinfra_operations import converge
from labctl.errors import LabctlError
from labctl.hoststate import receipt
from labctl.hoststate.facts import refuse_unfit, refuse_unsupported
from labctl.hoststate.resource import Resource
from labctl.hoststate.role import Role, select

RECEIPT_ROLE = "deploy"


@dataclass(frozen=True)
class RoleDeploy:
    """A role that can be called inside any pyinfra deploy file."""

    role: Role
    _deploy: Callable[[], None]

    def __call__(self) -> None:
        self._deploy()


def role(
    name: str, settings: type[Any], *beside: RoleDeploy
) -> Callable[[Callable[..., Iterable[Resource]]], RoleDeploy]:
    """Decorate the pure function of a role: its settings and the host's facts in, resources out.

    beside: roles whose settings it is given after the facts.
    """

    def decorate(resources: Callable[..., Iterable[Resource]]) -> RoleDeploy:
        value = Role(name, settings, resources, tuple(one.role for one in beside))

        @deploy(name)
        def run() -> None:
            with errors_as_pyinfras():
                session = HostSession.of(host)
                settings = _settings([value, *value.beside])
                session.selected.append((value, settings[name]))
                if session.select_only:
                    return
                wanted = _resources(value, settings)
                session.register(name, wanted)
                session.refuse()
                _converge(wanted)

        return RoleDeploy(value, cast("Callable[[], None]", run))

    return decorate


def deploy_roles(*roles: RoleDeploy) -> None:
    """Run `roles` in this order on the current host; `only` and `skip` in the host's data choose among them."""
    if _asked_for is not None:
        _asked_for.extend(one.role for one in roles)
        return
    with errors_as_pyinfras():
        session = HostSession.of(host)
        values = [one.role for one in roles]
        settings = _settings(list(dict.fromkeys(one for value in values for one in (value, *value.beside))))
        chosen = _chosen(host.data.dict(), values)
        session.selected += [(value, settings[value.name]) for value in values if value.name in chosen]
        if session.select_only:
            refuse_unsupported(session.address, session.facts)
            session.refuse_powerless()
            return
        refuse_unfit(session.address, session.facts)
        session.refuse_powerless()
        wanted = {value.name: _resources(value, settings) for value in values if value.name in chosen}
        last = receipt.ReceiptFile(labctl.__version__, chosen, _digests(wanted))
        for name, resources in wanted.items():
            session.register(name, resources)
        session.register(RECEIPT_ROLE, [last])
        session.refuse()
        for name, resources in wanted.items():
            with host.deploy(name, None, None):
                _converge(resources)
        with host.deploy(RECEIPT_ROLE, None, None):
            _converge([last])


def deploy_apart(one: RoleDeploy) -> None:
    """Run a role that is no part of what a host should be: no receipt speaks of it, no `only` or `skip` chooses it.

    The inventory may speak of the roles of gpu_host.py as well.
    """
    asked_for = _asked_for
    known = [one.role, *one.role.beside, *roles_of(deploy_file("gpu_host.py"))]
    if asked_for is not None:
        asked_for.extend(dict.fromkeys(known))
        return
    with errors_as_pyinfras():
        session = HostSession.of(host)
        settings = _settings(list(dict.fromkeys(known)))
        refuse_unfit(session.address, session.facts)
        session.refuse_powerless()
        wanted = _resources(one.role, settings)
        session.register(one.role.name, wanted)
        session.refuse()
        with host.deploy(one.role.name, None, None):
            _converge(wanted)


def roles_of(path: Path) -> list[Role]:
    """The roles that a deploy file runs, without a host: the file must consist of `deploy_roles` alone."""
    global _asked_for  # noqa: PLW0603 - the file's call reaches nobody else
    found: list[Role] = []
    before, _asked_for = _asked_for, found
    try:
        runpy.run_path(str(path))
    finally:
        _asked_for = before
    return found


_asked_for: list[Role] | None = None


def refuse_bad_data(where: str, data: Mapping[str, Any], roles: list[Role]) -> None:
    """Raise BadInput when `deploy_roles` would, for a host with this data."""
    inventory_settings.settings(where, data, roles)
    _chosen(data, roles)


def _chosen(data: Mapping[str, Any], roles: list[Role]) -> tuple[str, ...]:
    return select(
        tuple(role.name for role in roles),
        inventory_settings.names(data.get("only")),
        inventory_settings.names(data.get("skip")),
    )


def _settings(roles: list[Role]) -> dict[str, Any]:
    return inventory_settings.settings(f"inventory: {host.name}", host.data.dict(), roles)


def _resources(role: Role, settings: Mapping[str, Any]) -> tuple[Resource, ...]:
    beside = (settings[one.name] for one in role.beside)
    return tuple(role.resources(settings[role.name], HostSession.of(host).facts, *beside))


def _digests(wanted: dict[str, tuple[Resource, ...]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"{role}: {resource.name}", resource.digest())
        for role, resources in wanted.items()
        for resource in resources
    )


def _converge(resources: Iterable[Resource]) -> None:
    session = HostSession.of(host)
    for resource in resources:
        # pyinfra orders operations of several hosts by their position in the code; in a loop that is this number.
        host.loop_position.append(_ordinal(str(host.current_deploy_name), resource.name))
        try:
            converge(name=resource.name, resource=resource, _sudo=session.sudo)
        finally:
            host.loop_position.pop()


_ordinals: dict[tuple[str, str], int] = {}


def _ordinal(role: str, name: str) -> int:
    """The same number for the same operation on every host, whatever else those hosts run."""
    return _ordinals.setdefault((role, name), len(_ordinals))


@contextlib.contextmanager
def errors_as_pyinfras() -> Iterator[None]:
    """Plain pyinfra shows its own errors in one line and everything else as a traceback."""
    try:
        yield
    except LabctlError as problem:
        raise DeployError(str(problem)) from problem
