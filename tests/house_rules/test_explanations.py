"""Every check of every role says beside it why it fails and what to do, in words that `labctl doctor` can print."""

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import typer

from labctl.cli.app import app
from labctl.doctor.clues import Clues
from labctl.doctor.explanation import Explanation, explained, explanations_of
from tests.house_rules.tree import ROOT

ROLES = sorted(path.parent.name for path in (ROOT / "roles").glob("*/checks.py"))
COMMANDS = set(getattr(typer.main.get_command(app), "commands", {}))


def wrong(checks: Mapping[str, Callable[..., Any]]) -> Iterator[str]:
    """What is missing or cannot be printed."""
    for name, check in checks.items():
        explanations = explanations_of(check)
        if not explanations or not explanations[-1].always:
            yield f"{name}: @explained has to end with what holds whenever it fails"
        for each in explanations[:-1]:
            if each.always:
                yield f"{name}: nothing that follows is ever reached: {each.cause}"
        for words in (words for each in explanations for words in _fixed(each)):
            if not re.match(r"[A-Z`]", words) or not words.endswith((".", "`.")):
                yield f"{name}: not a sentence: {words}"
            if words.count("`") % 2:
                yield f"{name}: a backtick is missing: {words}"
            for command in re.findall(r"`labctl (\w+)", words):
                if command not in COMMANDS:
                    yield f"{name}: labctl has no command {command}"


def _fixed(explanation: Explanation) -> list[str]:
    made = (
        words
        if isinstance(words, str)
        else None
        if explanation.when or explanation.says
        else words(Clues(""))
        for words in (explanation.cause, explanation.fix)
    )
    return [words for words in made if words is not None]


def checks_of(role: str) -> dict[str, Callable[..., Any]]:
    module = importlib.import_module(f"roles.{role}.checks")
    return {name: check for name, check in vars(module).items() if name.startswith("test_")}


@pytest.mark.parametrize("role", ROLES)
def test_every_check_is_explained(role: str) -> None:
    found = checks_of(role)
    assert found
    assert list(wrong(found)) == []


GOOD = Explanation("It is off.", "`labctl deploy` switches it on.")


@pytest.mark.parametrize(
    ("explanations", "words"),
    [
        ((), "has to end with what holds"),
        ((Explanation("It is off.", "Switch it on.", says="off"),), "has to end with what holds"),
        ((GOOD, GOOD), "nothing that follows"),
        ((Explanation("it is off", "Switch it on."),), "not a sentence"),
        ((Explanation("It is off.", "`labctl repair` does it."),), "no command repair"),
        ((Explanation("It is off.", "`labctl deploy does it."),), "backtick"),
    ],
)
def test_a_check_that_is_badly_explained_would_be_seen(
    explanations: tuple[Explanation, ...], words: str
) -> None:
    def planted() -> None:
        """planted"""

    assert list(wrong({"good": explained(GOOD)(planted)})) == []
    assert any(words in each for each in wrong({"bad": explained(*explanations)(planted)}))
