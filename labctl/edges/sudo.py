"""sudo with its password on standard input, where no command line, environment or file of the host ever holds it.

pyinfra itself would put the password on the command line that sshd runs, for `ps` to show, and leave a program that
prints it in the host's /tmp for as long as the run lasts. As a line of standard input it is read by sudo alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.connectors.util import CommandOutput

from labctl.secret import Secret

if TYPE_CHECKING:
    from pyinfra.api.host import Host

    Run = Callable[..., tuple[bool, CommandOutput]]

# sudo may not ask (NOPASSWD), and then the password would be the first line that the command itself reads: the command
# begins by dropping everything up to this line. Without it nothing is run.
_END = "--- end of password ---"
_DROP_PASSWORD = f"until [ \"$line\" = '{_END}' ]; do IFS= read -r line || exit 97; done;"
# Where pyinfra keeps what a person typed when sudo asked.
_PROMPTED = "prompted_sudo_password"
# With one of these, pyinfra composes the command: labctl's own operations use none of them.
_PYINFRAS = (
    *("_sudo_user", "_use_sudo_login", "_preserve_sudo_env", "_su_user", "_doas", "_dzdo"),
    *("_env", "_chdir", "_get_pty"),
)


def through_stdin(host: Host, run: Run) -> Run:
    """Return `run`, a connector's `run_shell_command`, so that commands with sudo get their password this way.

    The password is `_sudo_password`, a Secret or a string, or what a person answers when pyinfra asks.
    """

    def run_as_root(command: StringCommand, *rest: Any, **arguments: Any) -> tuple[bool, CommandOutput]:
        if not arguments.get("_sudo"):
            return run(command, *rest, **arguments)
        password = _revealed(arguments.pop("_sudo_password", None)) or host.connector_data.get(_PROMPTED)
        if any(arguments.get(name) for name in _PYINFRAS):
            return run(command, *rest, **arguments, _sudo_password=password)
        shell = arguments.get("_shell_executable") or "sh"
        arguments |= {"_sudo": False, "_shell_executable": None}
        if password is None:
            status, output = run(_sudo("-n", shell, command), *rest, **arguments)
            password = host.connector_data.get(_PROMPTED)
            if status or password is None:
                return status, output
        given = _lines(arguments.pop("_stdin", None))
        command = _sudo("-S -k -p ''", shell, StringCommand(_DROP_PASSWORD, command))
        return run(command, *rest, **arguments, _stdin=[password, _END, *given])

    return run_as_root


def _sudo(options: str, shell: str, command: StringCommand) -> StringCommand:
    return StringCommand(f"sudo -H {options} {shell} -c", QuoteString(command))


def _revealed(password: Secret | str | None) -> str | None:
    return password.reveal() if isinstance(password, Secret) else password or None


def _lines(stdin: Any) -> list[str]:
    if stdin is None:
        return []
    if hasattr(stdin, "readlines"):
        return list(stdin.readlines())
    return list(stdin) if isinstance(stdin, list | tuple) else [stdin]
