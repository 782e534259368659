"""The `labctl` command. The only place that turns an error into a message and an exit code.

Nothing heavy is imported here or on the way to `--help` and `--version`: each command imports what it uses.
"""

import errno
import gc
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from labctl.errors import DONE, FAILED, INTERRUPTED, BadInput, Failed, Interrupted, LabctlError

_OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Some ten MiB; Python's own number, 700, is for programs that run for long."""


def main() -> NoReturn:
    """Run the command line and leave the process with its exit code."""
    # Or pydantic looks through every installed package for plugins before the first file is read.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show `×` gets `?`, not a traceback.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    # What a command imports stays to its end. Python would look through all of it for cycles some hundred times, and
    # once more on its way out: a quarter of the time that a command of ours takes here.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    exit_code = run(sys.argv[1:])
    gc.freeze()
    sys.exit(exit_code)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code. Answers go to stdout, complaints to stderr."""
    try:
        exit_code = _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`). The interpreter flushes again on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (LabctlError, KeyboardInterrupt) as error:
        return _explain(_interrupted() if isinstance(error, KeyboardInterrupt) else error, arguments)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            return _explain(_surprise(error), arguments)
        # What could not be printed is still in the buffer, and the interpreter would try again on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _explain(
            Failed("the answer cannot be written", where="stdout", found=error.strerror), arguments
        )
    except Exception as error:  # noqa: BLE001 - the last stop: a person gets a sentence, not a traceback
        return _explain(_surprise(error), arguments)
    return exit_code


def _dispatch(arguments: Sequence[str]) -> int:
    import typer

    from labctl.cli.app import app

    try:
        result = typer.main.get_command(app).main(arguments, prog_name="labctl", standalone_mode=False)
    except typer.Abort as abort:
        raise Failed("stopped at a question; nothing was done") from abort
    except typer.TyperException as usage:
        context = getattr(usage, "ctx", None)
        command = context.command_path if context else "labctl"
        raise BadInput(usage.format_message().rstrip("."), hint=f"see `{command} --help`") from usage
    if result == INTERRUPTED:  # typer turns KeyboardInterrupt into this
        raise _interrupted()
    return result if isinstance(result, int) else DONE


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", hint="run the same again and it goes on from there")


def _surprise(error: Exception) -> Failed:
    surprise = Failed(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug in labctl; run it again with LABCTL_DEBUG=1 and report what it shows",
    )
    surprise.__cause__ = error
    return surprise


def _explain(error: LabctlError, arguments: Sequence[str]) -> int:
    """Say what is wrong, in the form asked for; returns the exit code."""
    if os.environ.get("LABCTL_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    if _wants_json(arguments):
        import json

        print(json.dumps(error.to_json(), indent=2))
    else:
        print(f"labctl: {error}", file=sys.stderr)
    return error.exit_code


def _wants_json(arguments: Sequence[str]) -> bool:
    """The command line itself may be what is wrong, so this looks at the words, not at what was parsed."""
    options = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    return "--json" in options


if __name__ == "__main__":
    main()
