"""sudo with its password on standard input, where no command line, environment or file of the host ever holds it.

pyinfra itself would put the password on the command line that sshd runs, for `ps` to show, and leave a program that
prints it in the host's /tmp for as long as the run lasts. As a line of standard input it is read by sudo alone.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyinfra.api.command import QuoteString, StringCommand
from pyinfra.connectors.util import CommandOutput

from labctl.edges.reporting import reporter
from labctl.secret import Secret

if TYPE_CHECKING:
    from pyinfra.api.host import Host

    Run = Callable[..., tuple[bool, CommandOutput]]

# sudo may not ask (NOPASSWD), and then the password would be the first line that the command itself reads: the command
# begins by dropping everything up to this line. Without it nothing is run.
_END = "--- end of password ---"
_DROP_PASSWORD = f"until [ \"$line\" = '{_END}' ]; do IFS= read -r line || exit 97; done;"
# The first command finds out whether sudo asks: in English, which is how it is recognised, and not word for word as
# pyinfra recognises it, which would ask under the moving lines and then put the answer on a command line.
_MAY_NOT_ASK = (
    "why=$(LC_ALL=C sudo -n true 2>&1) || "
    "{ printf '[sudo] %s\\n' \"$(printf %s \"$why\" | tr '\\n' ' ')\" >&2; exit 98; };"
)
_ASKS = ("password is required", "authentication is required")
# In pyinfra's data about the connection.
_ANSWER, _DOES_NOT_ASK = "labctl sudo password", "labctl sudo does not ask"
# With one of these, pyinfra composes the command: labctl's own operations use none of them.
_PYINFRAS = (
    *("_sudo_user", "_use_sudo_login", "_preserve_sudo_env", "_su_user", "_doas", "_dzdo"),
    *("_env", "_chdir", "_get_pty"),
)


def through_stdin(host: Host, run: Run) -> Run:
    """Return `run`, a connector's `run_shell_command`, so that commands with sudo get their password this way.

    The password is `_sudo_password`, a Secret or a string, or what a person answers when sudo wants one.
    """

    def run_as_root(command: StringCommand, *rest: Any, **arguments: Any) -> tuple[bool, CommandOutput]:
        if not arguments.get("_sudo"):
            return run(command, *rest, **arguments)
        known = host.connector_data
        password = _revealed(arguments.pop("_sudo_password", None)) or known.get(_ANSWER)
        if any(arguments.get(name) for name in _PYINFRAS):
            return run(command, *rest, **arguments, _sudo_password=password)
        shell = arguments.get("_shell_executable") or "sh"
        arguments |= {"_sudo": False, "_shell_executable": None}
        if password is None:
            first = StringCommand() if known.get(_DOES_NOT_ASK) else StringCommand(_MAY_NOT_ASK)
            status, output = run(StringCommand(first, _sudo("-n", shell, command)), *rest, **arguments)
            asks = not status and any(_refusal(line) for line in output.output_lines)
            known[_DOES_NOT_ASK] = not asks
            password = known[_ANSWER] = _ask(host) if asks else None
            if password is None:
                return status, output
        given = _lines(arguments.pop("_stdin", None))
        command = _sudo("-S -k -p ''", shell, StringCommand(_DROP_PASSWORD, command))
        return run(command, *rest, **arguments, _stdin=[password, _END, *given])

    return run_as_root


def _sudo(options: str, shell: str, command: StringCommand) -> StringCommand:
    return StringCommand(f"sudo -H {options} {shell} -c", QuoteString(command))


def _refusal(line: str) -> bool:
    return line.startswith("[sudo] ") and any(words in line for words in _ASKS)


def _ask(host: Host) -> str | None:
    """The password as somebody types it; None when nobody is there."""
    if not sys.stdin.isatty():
        return None
    reporter().question(host, "sudo password:")
    try:
        return getpass.getpass("") or None
    except EOFError:
        return None


def _revealed(password: Secret | str | None) -> str | None:
    return password.reveal() if isinstance(password, Secret) else password or None


def _lines(stdin: Any) -> list[str]:
    if stdin is None:
        return []
    if hasattr(stdin, "readlines"):
        return list(stdin.readlines())
    return list(stdin) if isinstance(stdin, list | tuple) else [stdin]
