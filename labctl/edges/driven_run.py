"""A run over all hosts of an inventory: connect, prepare each host by itself, then execute or judge."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import gevent
import pyinfra
from paramiko import SSHException
from pyinfra.api.config import Config
from pyinfra.api.connect import disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operations import run_ops
from pyinfra.api.output import set_echo
from pyinfra.api.state import BaseStateCallback, State, StateStage
from pyinfra.context import ctx_config, ctx_host, ctx_inventory, ctx_state
from pyinfra_cli.log import setup_logging
from pyinfra_cli.util import exec_file

from labctl.edges import connection_errors, events, reporting
from labctl.edges.deploy_request import DeployRequest
from labctl.edges.event_reporter import EventReporter
from labctl.edges.host_session import HostSession
from labctl.edges.inventory_file import load_inventory
from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE, FAILED, BadInput, LabctlError
from labctl.hoststate.noting import Noting
from labctl.hoststate.receipt import Cause
from labctl.hoststate.resource import Certainty, Difference


class DrivenRun:
    """One request, from the inventory to an exit code."""

    def __init__(self, request: DeployRequest, emit: Callable[[events.Event], None]) -> None:
        self._request = request
        self.emit = emit
        self._failed: dict[Host, int] = {}
        self._pending = 0

    def run(self) -> int:
        """Do it all; every outcome is an event, the result is the exit code."""
        try:
            inventory = load_inventory(self._request)
        except LabctlError as problem:
            self.emit(refused(problem))
            return problem.exit_code
        self.emit(events.Started(self._request.mode, tuple(host.name for host in inventory)))
        return self.over(inventory)

    def over(self, inventory: Inventory) -> int:
        """The run over the hosts of `inventory`; the result is the exit code."""
        # Position in the code orders operations, as under pyinfra's own command line.
        pyinfra.is_cli = True
        config, state = Config(), State(check_for_changes=False)
        ctx_config.set(config)
        ctx_state.set(state)
        state.cwd = str(Path.cwd())
        state.print_input = state.print_fact_input = self._request.verbosity > 1
        state.print_output = state.print_fact_output = self._request.verbosity > 2
        if self._request.verbosity:
            setup_logging(logging.INFO)
            set_echo(_to_stderr)  # without it, pyinfra's API prints no command however often -v is said
        ctx_inventory.set(inventory)
        state.init(inventory, config)
        state.add_callback_handler(_Connections(self))
        self._reporter = EventReporter(self.emit, lambda host: _now(state, host))
        reporting.use(self._reporter)
        try:
            self._connect(state, inventory)
            if state.active_hosts:
                self._prepare(state)
            if state.active_hosts:
                self.act(state)
        finally:
            disconnect_all(state)
        return self.exit_code()

    def act(self, state: State) -> None:
        """What this run is for, on the hosts that are connected and prepared."""
        if self._request.mode == "check":
            self._judge(state)
        else:
            self._execute(state)

    def fail(self, state: State, host: Host, stage: events.Stage, problem: LabctlError) -> None:
        """Take `host` out of the run; the others go on."""
        self._failed[host] = problem.exit_code
        state.failed_hosts.add(host)
        state.active_hosts.discard(host)
        self.emit(
            events.HostFailed(
                host=host.name,
                stage=stage,
                message=str(_without_hint(problem, host)),
                hint=problem.hint,
                exit_code=problem.exit_code,
            )
        )

    def _connect(self, state: State, inventory: Inventory) -> None:
        """Not pyinfra's connect_all: one host whose key file is missing would end it for those that come after."""
        state.set_stage(StateStage.Connect)
        jobs = {state.pool.spawn(_try_to_connect, host): host for host in inventory}
        for job in gevent.iwait(list(jobs)):
            problem = job.get()
            if problem is not None:
                self.fail(state, jobs[job], "connect", problem)
        for host in inventory:
            if host.connected:
                state.activate_host(host)
                self.connected(host)

    def connected(self, host: Host) -> None:
        """A connection to `host` stands."""
        HostSession.of(host)  # which notices when it does not any more

    def _prepare(self, state: State) -> None:
        state.set_stage(StateStage.Prepare)
        state.current_deploy_filename = self._request.deploy_file
        jobs = {state.pool.spawn(self._load, state, host): host for host in list(state.active_hosts)}
        for job in gevent.iwait(list(jobs)):
            problem = job.get()
            if problem is not None:
                self.fail(state, jobs[job], "prepare", problem)

    def _load(self, state: State, host: Host) -> LabctlError | None:
        """Run the deploy file for one host; it only collects operations."""
        with ctx_config.use(state.config.copy()), ctx_host.use(host):
            try:
                exec_file(self._request.deploy_file, is_deploy_code=True)
            except PyinfraError as problem:
                return _cause(problem)
            except (OSError, SSHException, EOFError) as problem:
                return connection_errors.broken(host.name, problem)
        self.planned(state, host)
        return None

    def planned(self, state: State, host: Host) -> None:
        """The deploy file was run for `host`."""
        names = [_role_and_name(state, operation) for operation in host.op_hash_order]
        roles = tuple(dict.fromkeys(role for role, _ in names))
        self.emit(events.HostPlanned(host.name, roles, len(names)))

    def _execute(self, state: State) -> None:
        state.add_callback_handler(_Operations(self._reporter, state))
        state.set_stage(StateStage.Execute)
        prepared = list(state.active_hosts)
        with contextlib.suppress(PyinfraError):  # "No hosts remaining!", as above
            run_ops(state)
        for host in prepared:
            if host in state.failed_hosts:
                self._failed.setdefault(host, FAILED)
                if connection_errors.is_lost(host):
                    self.fail(state, host, "execute", connection_errors.broken(host.name))
            counts = self._reporter.counts(host)
            self.emit(
                events.HostDone(
                    host.name,
                    counts["changed"],
                    counts["unchanged"],
                    counts["failed"],
                    HostSession.of(host).remote_commands,
                )
            )

    def _judge(self, state: State) -> None:
        """Say what a deploy would do, without doing it."""
        jobs = {state.pool.spawn(self._judge_host, state, host): host for host in list(state.active_hosts)}
        for job in gevent.iwait(list(jobs)):
            problem = job.get()
            if problem is not None:
                self.fail(state, jobs[job], "prepare", problem)

    def _judge_host(self, state: State, host: Host) -> LabctlError | None:
        pending = 0
        with ctx_host.use(host):
            session = HostSession.of(host)
            for operation in host.op_hash_order:
                role, name = _role_and_name(state, operation)
                resource = session.resource(role, name)
                try:
                    # Without a resource it is an operation of pyinfra's own, in somebody's own deploy file.
                    found = session.compare(resource) if resource else _foreign(state, host, operation)
                except LabctlError as problem:
                    return problem
                except (OSError, SSHException, EOFError) as problem:
                    return connection_errors.broken(host.name, problem)
                if isinstance(resource, Noting):
                    for note in resource.notes(session.observe(resource)):
                        self.emit(events.Note(host.name, role, note))
                if found is None:
                    continue
                pending += 1
                cause = Cause.NEWS if resource is None else session.cause(role, resource)
                self.emit(
                    events.Pending(host.name, role, name, found.certainty.value, cause.value, found.reason)
                )
            done = events.CheckFinished(host.name, len(host.op_hash_order), pending, session.remote_commands)
            self.emit(done)
        self._pending += pending
        return None

    def exit_code(self) -> int:
        """By what has happened so far."""
        if self._failed:
            return max(self._failed.values()) if set(self._failed.values()) == {BAD_INPUT} else FAILED
        return ANSWER_IS_NO if self._pending else DONE


class _Connections(BaseStateCallback):
    """Each host's connection as an event."""

    def __init__(self, run: DrivenRun) -> None:
        self._run = run

    def host_connect(self, state: State, host: Host) -> None:  # type: ignore[override]  # pyinfra's are static
        self._run.emit(events.HostConnected(host.name))


class _Operations(BaseStateCallback):
    """Each operation of each host as events."""

    def __init__(self, reporter: EventReporter, state: State) -> None:
        self._reporter = reporter
        self._state = state

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]  # as above
        if op_hash in state.ops[host]:
            self._reporter.started(host, *_role_and_name(state, op_hash))

    def operation_host_success(  # type: ignore[override]  # as above
        self, state: State, host: Host, op_hash: str, retry_count: int = 0
    ) -> None:
        self._reporter.finished(host, *_role_and_name(state, op_hash), failed=False, output=[])

    def operation_host_error(  # type: ignore[override]  # as above
        self, state: State, host: Host, op_hash: str, retry_count: int = 0, max_retries: int = 0
    ) -> None:
        self._reporter.finished(host, *_role_and_name(state, op_hash), failed=True, output=_last_words(host))


def _try_to_connect(host: Host) -> LabctlError | None:
    """Why there is no connection; None when there is one. Values that no connection can be made of are among it."""
    try:
        host.connect(raise_exceptions=True)
    except (PyinfraError, OSError, SSHException, TypeError, ValueError) as error:
        return connection_errors.explain(host, error)
    return None


def _to_stderr(message: object = None, **_: object) -> None:
    sys.stderr.write(f"{message}\n")


def _role_and_name(state: State, operation: str) -> tuple[str, str]:
    """pyinfra's "role | name" as a pair."""
    full = min(state.get_op_meta(operation).names)
    role, separator, name = full.partition(" | ")
    return (role, name) if separator else ("", role)


def _now(state: State, host: Host) -> tuple[str, str]:
    operation = host.nested_executing_op_hash or host.executing_op_hash
    return _role_and_name(state, operation) if operation else ("", "")


def _last_words(host: Host) -> list[str]:
    output = [line for line in HostSession.of(host).failure_output if line.strip()]
    HostSession.of(host).failure_output = []
    return output


def _foreign(state: State, host: Host, operation: str) -> Difference | None:
    data = state.get_op_data_for_host(host, operation)
    if next(iter(data.command_generator()), None) is None:
        return None
    conditional = bool(data.global_arguments.get("_if"))
    return Difference("differs", Certainty.POSSIBLE if conditional else Certainty.CERTAIN)


def _cause(problem: PyinfraError) -> LabctlError:
    """labctl's own error inside pyinfra's, or pyinfra's as one."""
    if isinstance(problem.__cause__, LabctlError):
        return problem.__cause__
    return BadInput(
        str(problem.args[0] if problem.args else problem), hint="correct the deploy file or the inventory"
    )


def _without_hint(problem: LabctlError, host: Host) -> LabctlError:
    """The event names the host, and carries the hint on its own."""
    where = None if problem.where == host.name else problem.where
    return LabctlError(problem.message, where=where, found=problem.found, expected=problem.expected)


def refused(problem: LabctlError) -> events.Refused:
    """Bad input as an event."""
    return events.Refused(problem.message, problem.where, problem.found, problem.expected, problem.hint)
