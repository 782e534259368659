"""What the `checks.py` of a role is written with.

A check is a function `test_…` whose docstring's first line is its name, as `labctl verify` prints it. Its arguments are
fixtures: `host` (testinfra's, as root), `settings` (what the inventory asks of the check's role on this host) and
`facts` (what the host is). It changes nothing that outlives it. It fails by assertion; the message says what was found
and what was expected. `explained` (labctl/doctor/explanation.py) says beside it, for `labctl doctor`, why it fails and
what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import pytest
from testinfra.host import Host

from labctl.hoststate.facts import HostFacts

__all__ = ["NOTHING", "Host", "HostFacts", "NotRunHere", "for_each", "not_run_here", "output_of"]
NOTHING = "nothing of it is there"
"""A check's parameter where there is none: such a check is left out without a word."""


class NotRunHere(Exception):
    """A check cannot mean anything on this kind of host."""


def not_run_here(reason: str) -> NoReturn:
    """End the check as "not run here": neither passed nor failed. The only way to leave a check out."""
    raise NotRunHere(reason)


def for_each(metafunc: pytest.Metafunc, argument: str, values: Mapping[str, object]) -> None:
    """One check of each value, named by its key, none for nothing; for `pytest_generate_tests` of a `checks.py`."""
    metafunc.parametrize(argument, [*values.values()] or [NOTHING], ids=[*values] or [NOTHING])


def output_of(host: Host, command: str, *args: str) -> str:
    """The standard output of a command that must succeed, without the line ends around it.

    `%s` in `command` stands for the quoted `args`, as in testinfra. The check fails with the command's own last words
    when it does not succeed.
    """
    __tracebackhide__ = True
    done = host.run(command, *args)
    if done.rc != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise AssertionError(f"`{command}` failed with exit status {done.rc}: {words}")
    return done.stdout.strip("\n")
