"""Units by level: a restart is due when the unit is older than a file it reads, however the file came to change."""

import pytest

from labctl.hoststate.files import File
from labctl.hoststate.observation import FileSeen, Observations, UnitSeen
from labctl.hoststate.resource import Certainty, Pending
from labctl.hoststate.units import Unit

_CONF = "/etc/thing.conf"
_UNIT = Unit("thing", "thing.service", reads=(File(_CONF, "wanted"),), package="thing")


def _seen(unit: UnitSeen, changed_at: float | None = 50.0) -> Observations:
    file = None if changed_at is None else FileSeen("regular file", "644", "root", "root", changed_at, "x")
    return Observations(files={_CONF: file}, units={"thing.service": unit})


def _unit(**changes: object) -> UnitSeen:
    values: dict[str, object] = {
        "load_state": "loaded",
        "active_state": "active",
        "enabled": "enabled",
        "needs_reload": False,
        "active_since": 100.0,
    }
    return UnitSeen(**{**values, **changes})  # type: ignore[arg-type]  # a table of fields


def test_a_unit_as_wanted_is_left_alone() -> None:
    assert _UNIT.compare(_seen(_unit()), Pending()) is None


@pytest.mark.parametrize(
    ("unit", "changed_at", "words"),
    [
        (_unit(active_state="inactive"), 50.0, "is not running"),
        (_unit(active_state="failed"), 50.0, "is not running"),
        (_unit(active_state="activating"), 50.0, "is not running"),
        (_unit(enabled="disabled"), 50.0, "is not enabled"),
        (_unit(load_state="masked", enabled="masked"), 50.0, "is masked"),
        (_unit(needs_reload=True), 50.0, "changed on disk"),
        (_unit(), 100.1, f"is older than {_CONF}"),
        (_unit(active_since=None), 50.0, f"is older than {_CONF}"),
    ],
)
def test_each_difference_in_words(unit: UnitSeen, changed_at: float, words: str) -> None:
    difference = _UNIT.compare(_seen(unit, changed_at), Pending())
    assert difference is not None
    assert words in difference.reason
    assert difference.certainty is Certainty.CERTAIN


def test_a_check_sees_through_a_file_that_is_about_to_be_written() -> None:
    difference = _UNIT.compare(_seen(_unit()), Pending(paths=frozenset({_CONF})))
    assert difference is not None
    assert difference.certainty is Certainty.CERTAIN


def test_a_unit_that_its_package_brings_running_is_no_operation_of_its_own() -> None:
    absent = UnitSeen("not-found", "inactive", "", needs_reload=False, active_since=None)
    packages = frozenset({"thing"})
    assert _UNIT.compare(_seen(absent), Pending(packages=packages)) is None
    written = _UNIT.compare(_seen(absent, None), Pending(packages=packages, paths=frozenset({_CONF})))
    assert written is not None
    assert written.certainty is Certainty.POSSIBLE
    missing = _UNIT.compare(_seen(absent), Pending())
    assert missing is not None
    assert missing.certainty is Certainty.CERTAIN


def test_a_restart_for_a_file_the_repository_changed_is_news() -> None:
    changed = Unit("thing", "thing.service", reads=(File(_CONF, "other"),), package="thing")
    assert changed.digest() != _UNIT.digest()


def test_the_script_enables_restarts_and_proves() -> None:
    script = _UNIT.action(_seen(_unit())).script
    order = [script.index(word) for word in ("daemon-reload", "enable", "restart", "is-active")]
    assert order == sorted(order)
