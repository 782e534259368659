"""Run a program of the machine and complain readably when it fails."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from labctl.errors import Failed

_LAST_CHARACTERS = 2000


def run(
    argv: Sequence[str],
    *,
    check: bool = True,
    input_text: str | None = None,
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `argv` to its end and return it with its text output.

    Without `input_text` its stdin is empty. Raises `Failed` with the end of its output when it exits non-zero
    and `check` is set, when it is not installed, and when it takes longer than `timeout_s`.
    """
    try:
        completed = subprocess.run(
            argv,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            env=env,
            input=input_text if input_text is not None else "",
        )
    except FileNotFoundError as error:
        raise Failed(
            f"{argv[0]} is not installed",
            hint="Run `make host-packages` as root, it installs what is missing",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"no answer within {timeout_s} s", where=shlex.join(argv)) from error
    if check and completed.returncode != 0:
        raise Failed(
            f"exit code {completed.returncode}: {_tail(completed)}", where=shlex.join(argv)[:_LAST_CHARACTERS]
        )
    return completed


def _tail(completed: subprocess.CompletedProcess[str]) -> str:
    return (completed.stderr + completed.stdout).strip()[-_LAST_CHARACTERS:]
