"""Verification of all hosts of an inventory: one process per host, each running pytest over its roles' checks."""

from __future__ import annotations

import getpass
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.edges import events
from labctl.edges.driven_run import DrivenRun, refused
from labctl.edges.exit_codes import combined
from labctl.edges.explaining import explain
from labctl.edges.forked import Turn, in_processes
from labctl.edges.held_shell import HeldShell
from labctl.edges.host_session import HostSession
from labctl.edges.inventory_file import load_inventory
from labctl.edges.shell_streams import starter
from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE, FAILED, BadInput, Failed, LabctlError
from labctl.secret import Secret

if TYPE_CHECKING:
    from pyinfra.api import Host, State

    from labctl.edges.deploy_request import DeployRequest
    from labctl.edges.verify_plugin import RoleChecks
    from labctl.hoststate.role import Role


class VerifyRun(DrivenRun):
    """One request, from the inventory to an exit code.

    pytest runs one session per process, so every host has a process of its own, forked once everything is imported and
    before anything is connected: checks of a host run in order, hosts at the same time.
    """

    def __init__(self, request: DeployRequest, emit: Callable[[events.Event], None]) -> None:
        super().__init__(request, emit)
        self._failed_checks = 0
        self._turn = Turn()
        self._write = emit
        self.emit = self._emit_in_turn

    def run(self) -> int:
        """Do it all; every outcome is an event, the result is the exit code."""
        try:
            inventory = load_inventory(self._request)
        except LabctlError as problem:
            self.emit(refused(problem))
            return problem.exit_code
        names = [host.name for host in inventory]
        self.emit(events.Started(self._request.mode, tuple(names)))
        import labctl.edges.verify_plugin  # noqa: F401 - before the fork: pytest and testinfra are loaded once

        hosts = dict(inventory.hosts)

        def one(name: str) -> int:
            inventory.hosts = {name: hosts[name]}
            return self.over(inventory)

        codes = in_processes(names, one)
        for name, code in codes.items():
            if code not in (DONE, FAILED, BAD_INPUT, ANSWER_IS_NO):
                message = f"{name}: the checks ended without finishing (exit status {code})"
                self.emit(events.HostFailed(name, "execute", message, "run again with -v and report this"))
        return combined(codes.values())

    def connected(self, host: Host) -> None:
        """The deploy file is asked for its roles and their settings, not for what they would do."""
        super().connected(host)
        HostSession.of(host).select_only = True

    def planned(self, state: State, host: Host) -> None:
        """Nothing yet: the checks are announced once pytest has collected them."""

    def act(self, state: State) -> None:
        """Run the checks on the one host of this process."""
        for host in list(state.active_hosts):
            try:
                self._verify(state, host)
            except LabctlError as problem:
                self.fail(state, host, "execute", problem)

    def exit_code(self) -> int:
        """As for a deploy, or 3 when a check failed."""
        code = super().exit_code()
        return ANSWER_IS_NO if code == DONE and self._failed_checks else code

    def _verify(self, state: State, host: Host) -> None:
        from labctl.edges.testinfra_backend import testinfra_host
        from labctl.edges.verify_plugin import VerifyPlugin, run_checks

        session = HostSession.of(host)
        roles = tuple(_checks_of(role, settings) for role, settings in session.selected)
        if not roles:
            raise BadInput(
                "there is nothing to verify",
                where=host.name,
                found="no role",
                expected="at least one",
                hint="look at --only and --skip; operations outside of roles have no checks",
            )
        facts = session.facts  # first: who we are is among them, and else asked by itself
        shell = HeldShell(host.name, starter(host), sudo=session.sudo, password=lambda: self._password(host))
        shell.open()
        plugin = VerifyPlugin(testinfra_host(host.name, shell), facts, roles, self.emit)
        try:
            run_checks(roles, plugin)
            if plugin.problem is not None:
                raise plugin.problem
            if self._request.mode == "doctor" and plugin.failures:
                explain(plugin.failures, facts, shell, host.name, self.emit)
        finally:
            shell.close()
        self._failed_checks += plugin.counts["failed"]
        self.emit(
            events.HostVerified(
                host.name,
                passed=plugin.counts["passed"],
                failed=plugin.counts["failed"],
                not_run_here=plugin.counts["not run here"],
                remote_commands=session.remote_commands + shell.commands,
            )
        )

    def _password(self, host: Host) -> str | None:
        """sudo's, from the inventory or from whoever sits there."""
        given = host.data.get("_sudo_password")
        if given:
            return given.reveal() if isinstance(given, Secret) else str(given)
        if not sys.stdin.isatty():
            return None
        with self._turn:  # the other hosts' events wait too: nothing may be written over the question
            self._write(events.Question(host.name, "", "sudo password:"))
            try:
                return getpass.getpass("") or None
            except EOFError:
                return None

    def _emit_in_turn(self, event: events.Event) -> None:
        """All processes write to one pipe, and a line can be longer than what a pipe takes in one piece."""
        with self._turn:
            self._write(event)


def _checks_of(role: Role, settings: Any) -> RoleChecks:
    """The checks.py beside the file that defines the role."""
    from labctl.edges.verify_plugin import RoleChecks

    path = Path(inspect.getfile(role.resources)).resolve().with_name("checks.py")
    if not path.is_file():
        raise Failed(
            f"the role {role.name} has no checks",
            where=str(path),
            found="no such file",
            hint=f"write it, or verify the other roles: --skip {role.name}",
        )
    return RoleChecks(role.name, path, settings)
