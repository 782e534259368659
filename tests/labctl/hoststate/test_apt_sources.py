"""Sources files before and after, in both formats; a no-op among them is a case whose two files are equal."""

import base64
from pathlib import Path

import pytest

from labctl.errors import Failed
from labctl.hoststate.apt_sources import AptSources, add_components
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Pending

_CASES = Path(__file__).parents[2] / "cases" / "apt_sources"
_COMPONENTS = ("main", "non-free", "non-free-firmware")
_WANTED = AptSources("apt components", "trixie", _COMPONENTS)


@pytest.mark.parametrize(
    "before", sorted(_CASES.glob("*.before.*")), ids=lambda path: path.name.split(".")[0]
)
def test_components_are_added_to_the_distributions_own_entries_only(before: Path) -> None:
    deb822 = before.suffix == ".sources"
    after = before.with_name(before.name.replace(".before.", ".after.")).read_text()
    assert add_components(before.read_text(), deb822, "trixie", _COMPONENTS) == after
    assert add_components(after, deb822, "trixie", _COMPONENTS) == after, (
        "the second time nothing is left to add"
    )


def _seen(text: str, stamp: str, now: str) -> Observations:
    encoded = base64.b64encode(text.encode()).decode()
    lines = f"file /etc/apt/sources.list {encoded}\nstamp {stamp}\nnow {now}\n"
    return Observations(texts={"apt sources": lines})


def test_lists_that_were_fetched_for_these_sources_are_left_alone() -> None:
    complete = "deb http://mirror.example/debian trixie main non-free non-free-firmware\n"
    assert _WANTED.compare(_seen(complete, "abc", "abc"), Pending()) is None


@pytest.mark.parametrize("stamp", ["", "def"])
def test_lists_that_were_never_fetched_for_these_sources_are_a_difference(stamp: str) -> None:
    complete = "deb http://mirror.example/debian trixie main non-free non-free-firmware\n"
    difference = _WANTED.compare(_seen(complete, stamp, "abc"), Pending())
    assert difference is not None
    assert "not fetched" in difference.reason


@pytest.mark.parametrize(
    "text",
    [
        "deb http://mirror.example/debian stable main\n",
        "deb [signed-by=/k.gpg] https://v.example trixie main\n",
        "",
    ],
    ids=["another suite", "another vendor", "nothing"],
)
def test_sources_without_the_distribution_are_an_error_and_not_as_wanted(text: str) -> None:
    with pytest.raises(Failed, match="the distribution's own") as refused:
        _WANTED.compare(_seen(text, "a", "a"), Pending())
    assert "by hand" in str(refused.value.hint)


def test_a_missing_component_names_its_file() -> None:
    difference = _WANTED.compare(_seen("deb http://mirror.example/debian trixie main\n", "a", "a"), Pending())
    assert difference is not None
    assert "/etc/apt/sources.list" in difference.reason
