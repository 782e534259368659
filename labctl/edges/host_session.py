"""What one run knows of one host: its facts, what was surveyed and when that stopped being true."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from paramiko import SSHException
from pyinfra.api.arguments import CONNECTOR_ARGUMENT_KEYS, pop_global_arguments
from pyinfra.api.command import StringCommand
from pyinfra.connectors.util import CommandOutput

from labctl.edges.connection_errors import broken, fail_fast, is_lost
from labctl.edges.pyinfra_facts import HostFacts, Survey
from labctl.edges.sudo import through_stdin
from labctl.errors import Failed
from labctl.hoststate import receipt
from labctl.hoststate.facts import LOGIN_SCRIPT, Login, parse_login, refuse_powerless
from labctl.hoststate.facts import HostFacts as HostFactsValue
from labctl.hoststate.observation import Observations
from labctl.hoststate.receipt import Cause
from labctl.hoststate.refusal import Refusing
from labctl.hoststate.resource import Difference, Pending, Resource
from labctl.hoststate.role import Role
from labctl.hoststate.survey import Probes, union

if TYPE_CHECKING:
    from pyinfra.api.host import Host

_KEY = "labctl session"
# sudo's own words and, the last, those of sudo-rs (Ubuntu from 25.10).
_NEVER_ROOT = ("not in the sudoers", "not allowed to", "I'm afraid I can't do that")


class HostSession:
    """Kept on pyinfra's host object for the length of a run."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._facts: HostFactsValue | None = None
        self._login: Login | None = None
        self._resources: dict[tuple[str, str], Resource] = {}
        self._seen: Observations | None = None
        self._covered = Probes()
        self._seen_while_executing = False
        self.selected: list[tuple[Role, Any]] = []  # the roles the deploy file chose, with their settings
        self.select_only = False  # verify wants to know no more than that
        self.pending = Pending()
        self.remote_commands = 0
        self.failure_output: list[str] = []  # of the last command that failed
        fail_fast(host)
        self._count_commands()

    @staticmethod
    def of(host: Host) -> HostSession:
        """The session of `host`, begun on first use."""
        session = host.connector_data.get(_KEY)
        if session is None:
            session = host.connector_data[_KEY] = HostSession(host)
        return cast(HostSession, session)

    @property
    def facts(self) -> HostFactsValue:
        """What the host is. One remote command, once."""
        if self._facts is None:
            fact = HostFacts()
            self._facts = fact.process(self._run(fact.command(), sudo=False))
        return self._facts

    @property
    def login(self) -> Login:
        """Who we are there. One short remote command, once, where the facts are not known."""
        if self._facts is not None:
            return self._facts
        if self._login is None:
            self._login = parse_login("\n".join(self._run(LOGIN_SCRIPT, sudo=False)))
        return self._login

    @property
    def sudo(self) -> bool:
        """True when the login is not root."""
        return self.login.uid != 0

    def refuse_powerless(self) -> None:
        """Raise Failed when the login needs a password to become root and nobody can give it."""
        if not (self._host.data.get("_sudo_password") or sys.stdin.isatty()):
            refuse_powerless(self.address, self.login)

    @property
    def address(self) -> str:
        """The host's name for messages."""
        return str(self._host.name)

    def register(self, role: str, resources: Iterable[Resource]) -> None:
        """Say in advance what this run will ask about, so that one survey can answer all of it."""
        self._resources.update({(role, resource.name): resource for resource in resources})

    def refuse(self) -> None:
        """Let every resource that may be impossible here speak, before anything is changed; they raise.

        One remote command, where there is such a resource. What it saw serves a check as well; a deploy looks again
        when it begins.
        """
        refusing = [
            each for each in self._resources.values() if isinstance(each, Refusing) and each.may_refuse
        ]
        if refusing:
            self.observe(next(iter(self._resources.values())))  # all that is registered, in one
        for each in refusing:
            assert self._seen is not None
            each.refuse(self._seen)

    def resource(self, role: str, name: str) -> Resource | None:
        """What was registered under this name, None for an operation that is not labctl's."""
        return self._resources.get((role, name))

    def cause(self, role: str, resource: Resource) -> Cause:
        """Why `resource` is pending: by the receipt that the last survey saw."""
        if self._seen and isinstance(resource, receipt.ReceiptFile):
            return resource.cause(self._seen)
        text = self._seen.texts.get(receipt.KEY, "") if self._seen else ""
        return receipt.cause(receipt.parse(text), f"{role}: {resource.name}", resource.digest())

    def observe(self, resource: Resource) -> Observations:
        """Return observations that cover `resource` and are not older than the last change."""
        executing = bool(self._host.state.is_executing)
        if executing and not self._seen_while_executing:
            # A person may have looked at the proposed changes for an hour since the survey of the prepare stage.
            self.invalidate()
        needed = resource.probes()
        if self._seen is None:
            self._survey(union(one.probes() for one in self._from(resource)) | needed)
        elif not _covers(self._covered, needed):
            self._survey(needed)
        self._seen_while_executing = executing
        assert self._seen is not None
        return self._seen

    def compare(self, resource: Resource) -> Difference | None:
        """How `resource` differs; outside execution, what differs counts as pending for those that come later."""
        seen = self.observe(resource)
        executing = bool(self._host.state.is_executing)
        difference = resource.compare(seen, Pending() if executing else self.pending)
        if difference and not executing:
            self.pending |= resource.will_change(seen)
        return difference

    def invalidate(self) -> None:
        """Something on the host changed, or may have."""
        self._seen = None
        self._covered = Probes()

    def _from(self, resource: Resource) -> list[Resource]:
        registered = list(self._resources.values())
        for index, candidate in enumerate(registered):
            if candidate is resource:
                return registered[index:]
        return [resource]

    def _survey(self, probes: Probes) -> None:
        fact = Survey()
        newer = fact.process(self._run(fact.command(probes), sudo=self.sudo))
        self._seen = self._seen.merged(newer) if self._seen else newer
        self._covered |= probes

    def _run(self, script: str, *, sudo: bool) -> list[str]:
        status, output = run_on(self._host, script, sudo=sudo)
        if not status:
            raise explain(self.address, output.output)
        return output.stdout_lines

    def _count_commands(self) -> None:
        connector: Any = self._host.connector
        run_shell_command = through_stdin(self._host, connector.run_shell_command)
        put_file = connector.put_file

        def counted_run(*args: Any, **kwargs: Any) -> tuple[bool, CommandOutput]:
            self.remote_commands += 1
            try:
                status, output = run_shell_command(*args, **kwargs)
            except (EOFError, SSHException):
                if not is_lost(self._host):
                    raise
                status, output = False, CommandOutput([])
            if not status:
                self.failure_output = output.output_lines
                if is_lost(self._host):  # to pyinfra that is a command that failed without a word
                    raise ConnectionResetError(str(broken(self.address)))
            return status, output

        def counted_put(*args: Any, **kwargs: Any) -> Any:
            self.remote_commands += 1
            return put_file(*args, **kwargs)

        connector.run_shell_command = counted_run
        connector.put_file = counted_put


def run_on(host: Host, script: str, *, sudo: bool, timeout: int = 300) -> tuple[bool, CommandOutput]:
    """Run `script` on `host` with the privileges its inventory data gives; (success, output).

    Raises Failed when the connection breaks or no sudo password can be asked for.
    """
    arguments, _ = pop_global_arguments(host.state, host, {"_sudo": sudo, "_timeout": timeout})
    chosen = {key: value for key, value in arguments.items() if key in CONNECTOR_ARGUMENT_KEYS}
    try:
        return host.run_shell_command(
            StringCommand(script),
            print_output=host.state.print_fact_output,
            print_input=host.state.print_fact_input,
            **chosen,
        )
    except EOFError:  # pyinfra asks for the sudo password and there is nobody to answer
        raise explain(str(host.name), "sudo: a password is required") from None
    except ConnectionResetError:
        raise broken(str(host.name)) from None
    except (OSError, SSHException) as problem:
        raise broken(str(host.name), problem) from problem


def explain(host: str, output: str) -> Failed:
    """The error for a first command that failed on `host` with this output."""
    lines = [line for line in output.strip().splitlines() if line.strip()]
    found = lines[-1] if lines else "no output"
    if "password is required" in output or "authentication is required" in output:
        return Failed(
            "sudo wants a password and there is nobody to ask",
            where=host,
            found=found,
            expected="a login that may use sudo",
            hint='run in a terminal, or set _sudo_password = Secret.env("SUDO_PASSWORD") for this host',
        )
    if "incorrect password" in output or "incorrect authentication" in output:
        return wrong_password(host, found)
    if any(words in output for words in _NEVER_ROOT):
        return Failed(
            "the login may not use sudo",
            where=host,
            found=found,
            expected="a user in the sudo group, or root",
            hint=f"on {host} as root: adduser YOUR_USER sudo — or set ssh_user to a user who may",
        )
    return Failed("the host's state could not be read", where=host, found=found, hint="run again with -v")


def wrong_password(host: str, found: str) -> Failed:
    """The error for a password that sudo on `host` refused."""
    return Failed(
        "sudo does not take this password",
        where=host,
        found=found,
        expected="the login's own password",
        hint="correct _sudo_password for this host, or what it is read from",
    )


def _covers(covered: Probes, needed: Probes) -> bool:
    return (
        needed.paths <= covered.paths
        and needed.packages <= covered.packages
        and needed.units <= covered.units
        and set(needed.snippets) <= set(covered.snippets)
    )
