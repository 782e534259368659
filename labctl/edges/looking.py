"""A host asked for everything that an apply wants to know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from labctl.apply.survey_script import SCRIPT
from labctl.edges.held_shell import HeldShell

if TYPE_CHECKING:
    from labctl.apply.survey import Seen


def begin_look(shell: HeldShell) -> Callable[[], Seen]:
    """Let the host look, and return what waits for its answer. One remote command, which changes nothing."""
    ended = shell.begin(SCRIPT)

    def seen() -> Seen:
        from labctl.apply.survey import parse

        return parse(ended().stdout.decode("utf-8", "replace"))

    return seen
