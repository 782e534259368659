"""How a check ended, in labctl's words and not in pytest's. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.edges import events
from labctl.edges.checks import NotRunHere
from labctl.errors import LabctlError

_OUTPUT_LINES, _LINE_CHARACTERS = 12, 300


@dataclass(frozen=True)
class Verdict:
    """How one check ended."""

    status: events.Verdict
    reason: str | None = None
    output: tuple[str, ...] = ()


def name_of(item: pytest.Item) -> str:
    """The first line of the docstring; with the parameters, where there are any."""
    function = getattr(item, "function", None)
    lines = (getattr(function, "__doc__", None) or "").strip().splitlines()
    name = lines[0].strip().removesuffix(".") if lines else _words(item)
    parameters = item.name.partition("[")[2].removesuffix("]")
    return f"{name} [{parameters}]" if parameters else name


def _words(item: pytest.Item) -> str:
    return item.name.partition("[")[0].removeprefix("test_").replace("_", " ")


def verdict_of(item: pytest.Item, raised: pytest.ExceptionInfo[BaseException]) -> Verdict:
    """What an exception means: pytest's own ways to skip are failures."""
    error = raised.value
    if isinstance(error, NotRunHere):
        return Verdict("not run here", str(error))
    text = str(error)
    if isinstance(error, pytest.skip.Exception):
        return _failed(item, raised, f"skipped ({text}): a check that is left out says not_run_here(reason)")
    if isinstance(error, AssertionError | LabctlError | pytest.fail.Exception):
        return _failed(item, raised, text)
    return _failed(item, raised, f"{type(error).__name__}: {text}")


def _failed(item: pytest.Item, raised: pytest.ExceptionInfo[BaseException], text: str) -> Verdict:
    """The first line is the reason; what pytest adds about the compared values, and the place, is output."""
    reason, *rest = [line for line in text.splitlines() if line.strip()] or ["failed without a word"]
    if rest and rest[0].lstrip().startswith("assert "):
        rest = []  # the bare expression with its values; the message was written to be read instead
    lines = [_cut(line) for line in rest[:_OUTPUT_LINES]]
    return Verdict("failed", _cut(reason), (*lines, _place(item, raised)))


def _place(item: pytest.Item, raised: pytest.ExceptionInfo[BaseException]) -> str:
    inside = [entry for entry in raised.traceback if Path(entry.path) == item.path]
    line = inside[-1].lineno + 1 if inside else (item.reportinfo()[1] or 0) + 1
    return f"{'/'.join(item.path.parts[-3:])}:{line}"


def last_line(text: str) -> str:
    """The last line that says something, cut to a length that a person reads."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _cut(lines[-1].removeprefix("E ").strip()) if lines else "nothing"


def _cut(line: str) -> str:
    return line if len(line) <= _LINE_CHARACTERS else line[: _LINE_CHARACTERS - 1] + "…"
