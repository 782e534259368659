"""The gpu_power role on a fake machine: every script is run, and what the cards then say is what counts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.errors import BadInput
from labctl.hoststate.resource import Certainty, Difference, Pending, Resource
from roles.gpu_power.deploy import gpu_power
from roles.gpu_power.host_limits import POWER
from roles.gpu_power.settings import GpuPowerSettings
from tests.roles.gpu_power_host import UUIDS, FakeMachine
from tests.roles.host_facts import host_facts


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    """Two RTX 3090 at their default."""
    found = FakeMachine(tmp_path)
    found.plug_in(0)
    found.plug_in(1)
    return found


def role(**settings: object) -> tuple[Resource, Resource]:
    unit, limits = gpu_power.role.resources(GpuPowerSettings.model_validate(settings), host_facts())
    return unit, limits


def deploy(machine: FakeMachine, **settings: object) -> list[str]:
    """Names of the operations that did something; each must succeed."""
    ran = []
    for resource in role(**settings):
        done = machine.converge(resource)
        if done is not None:
            assert done.returncode == 0, done.stdout + done.stderr
            ran.append(resource.name)
    return ran


def limits(machine: FakeMachine) -> list[int]:
    return [machine.limit(uuid) for uuid in UUIDS if (machine.folder / "cards" / uuid).exists()]


ALL_280: dict[str, object] = {"limits": {"rtx-3090": 280}}


def test_the_unit_sets_the_limits_and_a_second_run_changes_nothing(machine: FakeMachine) -> None:
    assert deploy(machine, **ALL_280) == ["boot unit"]
    assert limits(machine) == [280, 280]
    assert deploy(machine, **ALL_280) == []
    text = machine.path(POWER.path).read_text()
    assert f"ExecStart=-/usr/local/lib/labctl/nvidia-smi -i {UUIDS[0]} -pl 280\n" in text
    for line in (
        "DevicePolicy=closed",
        "DeviceAllow=char-nvidia* rw",
        "NoNewPrivileges=yes",
        "RemainAfterExit=yes",
    ):
        assert f"\n{line}\n" in text
    for name in (POWER.name, POWER.resume_name):
        assert (machine.folder / f"{name}.enabled").exists()


def test_a_limit_changed_by_hand_is_drift_and_is_set_again(machine: FakeMachine) -> None:
    deploy(machine, **ALL_280)
    machine.plug_in(1, 350)
    unit, in_force = role(**ALL_280)
    assert machine.compare(unit) is None
    found = machine.compare(in_force)
    assert found == Difference(f"{UUIDS[1]} has 350 W, not 280 W", Certainty.CERTAIN)
    assert deploy(machine, **ALL_280) == ["limits in force"]
    assert limits(machine) == [280, 280]


def test_whatever_is_missing_of_the_unit_comes_back(machine: FakeMachine) -> None:
    deploy(machine, **ALL_280)
    spoilt: tuple[Callable[[], object], ...] = (
        machine.path(POWER.path).unlink,
        lambda: machine.path(POWER.path).write_text("[Service]\n"),
        machine.path(POWER.rules_path).unlink,
        lambda: machine.path(POWER.resume_path).write_text("x"),
        (machine.folder / f"{POWER.name}.enabled").unlink,
        (machine.folder / f"{POWER.name}.active").unlink,
        (machine.folder / f"{POWER.resume_name}.enabled").unlink,
    )
    for number, spoil in enumerate(spoilt):
        spoil()
        assert deploy(machine, **ALL_280) == ["boot unit"], number
        assert deploy(machine, **ALL_280) == [], number


def test_before_the_first_deploy_the_limits_are_only_possible(machine: FakeMachine) -> None:
    unit, in_force = role(**ALL_280)
    found = machine.compare(unit)
    assert found is not None
    assert found.certainty is Certainty.CERTAIN
    machine.pending = unit.will_change(machine.see(unit))
    after = machine.compare(in_force)
    assert after is not None
    assert after.certainty is Certainty.POSSIBLE


def test_a_card_that_refuses_leaves_the_others_limited_and_is_named(machine: FakeMachine) -> None:
    (machine.folder / "cards" / f"{UUIDS[0]}.stuck").touch()
    unit, in_force = role(**ALL_280)
    done = machine.converge(unit)
    assert done is not None
    assert done.returncode == 0
    assert limits(machine) == [350, 280]
    done = machine.converge(in_force)
    assert done is not None
    assert done.returncode == 1
    assert UUIDS[0] in done.stderr
    assert "Insufficient Permissions" in done.stderr
    assert UUIDS[1] not in done.stderr


@pytest.mark.parametrize("lost", [True, False])
def test_a_missing_card_keeps_its_line_and_stops_nothing(machine: FakeMachine, *, lost: bool) -> None:
    deploy(machine, **ALL_280)
    (machine.folder / "cards" / UUIDS[0]).unlink()
    if lost:
        said = (
            "Unable to determine the device handle for GPU0: 0000:10:00.0: GPU is lost.  Reboot the system\n"
        )
        (machine.folder / "cards" / "lost").write_text(said)
    assert deploy(machine, **ALL_280) == []
    machine.plug_in(1, 350)
    assert deploy(machine, **ALL_280) == ["limits in force"]
    assert limits(machine) == [280]
    assert UUIDS[0] in machine.path(POWER.path).read_text()
    # A budget is still split as if it were there.
    assert deploy(machine, budget_watts=500) == ["boot unit"]
    assert limits(machine) == [250]


def test_a_uuid_that_was_seen_before_is_known_though_it_is_not_there(machine: FakeMachine) -> None:
    mine: dict[str, object] = {"limits": {UUIDS[0]: 250}}
    deploy(machine, **mine)
    (machine.folder / "cards" / UUIDS[0]).unlink()
    assert deploy(machine, **mine) == []
    machine.path(POWER.path).unlink()
    with pytest.raises(BadInput, match="no card here has this UUID"):
        machine.compare(role(**mine)[0])


def test_without_the_setting_nothing_is_left(machine: FakeMachine) -> None:
    deploy(machine, **ALL_280)
    (machine.folder / "cards" / "set").unlink()
    assert deploy(machine) == ["boot unit"]
    assert limits(machine) == [350, 350]
    assert not any(machine.path(path).exists() for path in (POWER.path, POWER.resume_path, POWER.rules_path))
    assert not list(machine.folder.glob("*.enabled"))
    assert deploy(machine) == []


def test_a_card_that_is_not_meant_any_more_is_released_and_no_other(machine: FakeMachine) -> None:
    deploy(machine, **ALL_280)
    assert deploy(machine, limits={UUIDS[1]: 280}) == ["boot unit"]
    assert limits(machine) == [350, 280]
    assert UUIDS[0] not in machine.path(POWER.path).read_text()


def test_a_card_that_cannot_be_released_is_told_of_and_the_rest_done(machine: FakeMachine) -> None:
    deploy(machine, **ALL_280)
    (machine.folder / "cards" / f"{UUIDS[0]}.stuck").touch()
    done = machine.converge(role(limits={UUIDS[1]: 250})[0])
    assert done is not None
    assert done.returncode == 1
    assert UUIDS[0] in done.stderr
    assert limits(machine) == [280, 250]


def test_a_host_where_nothing_is_asked_for_is_not_even_asked(machine: FakeMachine) -> None:
    machine.plug_in(0, 200)
    assert [machine.compare(resource) for resource in role()] == [None, None]
    assert machine.see(role()[1]).texts["gpu power"] == ""
    assert limits(machine) == [200, 350]


@pytest.mark.parametrize("settings", [ALL_280, {"limits": {UUIDS[0]: 280}}, {"budget_watts": 500}])
def test_a_host_without_cards_is_left_alone(tmp_path: Path, settings: dict[str, object]) -> None:
    machine = FakeMachine(tmp_path)
    assert deploy(machine, **settings) == []
    (tmp_path / "nvidia-smi").unlink()
    assert deploy(machine, **settings) == []
    machine.pending = Pending(packages=frozenset({"nvidia-smi"}))
    found = machine.compare(role(**settings)[0])
    assert found is not None
    assert found.certainty is Certainty.POSSIBLE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"limits": {"rtx-3090": 90}}, "90 W, expected 100 to 375 W"),
        ({"limits": {"GPU-00000000": 280}}, "no card here has this UUID"),
        ({"limits": {"rtx-4090": 280}}, "no card here is of this model"),
        ({"budget_watts": 199}, "expected 200 W or more"),
    ],
)
def test_what_the_cards_cannot_do_is_refused_before_anything_changes(
    machine: FakeMachine, settings: dict[str, object], message: str
) -> None:
    for resource in role(**settings):
        with pytest.raises(BadInput, match=message):
            machine.compare(resource)
    assert limits(machine) == [350, 350]


def test_what_is_wanted_has_a_digest_of_its_own() -> None:
    different: list[dict[str, object]] = [
        {},
        ALL_280,
        {"limits": {"rtx-3090": 281}},
        {"budget_watts": 280},
        {"limits": {"rtx-3090": 280}, "budget_watts": 900},
    ]
    for place in (0, 1):
        digests = [role(**settings)[place].digest() for settings in different]
        assert len(set(digests)) == len(different)
        assert digests == [role(**settings)[place].digest() for settings in different]
