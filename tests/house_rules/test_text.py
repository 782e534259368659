"""What must not stand in any file or commit message."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.house_rules import registries
from tests.house_rules.tree import ROOT, commit_messages, files

UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
# A silenced check says why beside it.
SILENCED = re.compile(r"#\s*(noqa|type:\s*ignore)\b(?P<rest>.*)")
REASON = re.compile(r"^(: ?[A-Z0-9, ]+|\[[a-z0-9, -]+\])?\s*(#|-)\s*\S+ \S+")

TWO_STANZAS = """\
Types: deb
URIs: http://a.example/d http://b.example/d
Suites: trixie trixie-updates

Types: deb
URIs: http://c.example/d
Suites: trixie-security
"""


def lines_with(pattern: re.Pattern[str], paths: Iterable[Path]) -> list[str]:
    found = []
    for path in paths:
        text = path.read_text(errors="replace")
        found += [
            f"{path}:{number}: {line}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


def any_of(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(name) for name in sorted(names)))


def unexplained(line: str) -> bool:
    silenced = SILENCED.search(line)
    return bool(silenced and not REASON.match(silenced["rest"]))


def test_no_registry_or_mirror_is_named() -> None:
    named = any_of(registries.hosts())
    assert lines_with(named, files()) == []
    assert named.search(commit_messages()) is None


def test_a_registry_would_be_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.txt"
    for host in registries.hosts():
        planted.write_text(f"first\nsee https://{host}/simple\n")
        assert lines_with(any_of(registries.hosts()), [planted]) == [
            f"{planted}:2: see https://{host}/simple"
        ]


@pytest.mark.parametrize(
    ("text", "deb822", "urls"),
    [
        (
            "deb [signed-by=/k.gpg] http://a.example/debian trixie main contrib\n",
            False,
            ["http://a.example/debian"],
        ),
        ("# deb http://a.example/debian trixie main\n", False, []),
        ("deb https://vendor.example/repo /\n", False, []),
        ("deb https://vendor.example/repo sdk-trixie main\n", False, []),
        (
            TWO_STANZAS,
            True,
            ["http://a.example/d", "http://b.example/d", "http://c.example/d"],
        ),
        ("Types: deb\nURIs: https://vendor.example/repo\nSuites: nodistro\nComponents: main\n", True, []),
    ],
)
def test_mirrors_are_read_from_apt_sources(text: str, deb822: bool, urls: list[str]) -> None:
    assert registries.apt_urls(text, deb822=deb822, codename="trixie") == urls


def test_the_built_in_registries_are_always_known() -> None:
    assert len(registries.hosts()) >= 2


def test_nothing_is_left_for_later() -> None:
    assert lines_with(UNFINISHED, files()) == []


def test_something_left_for_later_would_be_seen(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("# TO" + "DO: the rest\n")
    assert lines_with(UNFINISHED, [planted])


def test_a_silenced_check_says_why() -> None:
    silent = [line for line in lines_with(SILENCED, files(".py")) if unexplained(line)]
    assert silent == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("import x  # no" + "qa: F401", True),
        ("import x  # no" + "qa", True),
        ("import x  # no" + "qa: F401 - patches the standard library", False),
        ("x = y  # type: ig" + "nore[no-any-return]", True),
        ("x = y  # type: ig" + "nore[no-any-return]  # the library has no types", False),
    ],
)
def test_a_check_silenced_without_a_reason_would_be_seen(line: str, wrong: bool) -> None:
    assert unexplained(line) is wrong


def test_the_tree_is_this_repository() -> None:
    assert ROOT / "pyproject.toml" in files(".toml")
