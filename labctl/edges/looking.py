"""A host asked for everything that an apply wants to know of it."""

from collections.abc import Callable

from labctl.apply import survey
from labctl.apply.survey import Seen
from labctl.edges.held_shell import HeldShell


def begin_look(shell: HeldShell) -> Callable[[], Seen]:
    """Let the host look, and return what waits for its answer. One remote command, which changes nothing."""
    ended = shell.begin(survey.SCRIPT)
    return lambda: survey.parse(ended().stdout.decode("utf-8", "replace"))
