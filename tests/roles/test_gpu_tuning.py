"""The gpu_tuning role on a fake machine: every script is run, and what the cards are then locked to is what counts."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from labctl.errors import BadInput
from labctl.hoststate.noting import Noting
from labctl.hoststate.resource import Certainty, Difference, Resource
from roles.gpu_tuning.boot_lines import PROGRAM
from roles.gpu_tuning.deploy import gpu_tuning
from roles.gpu_tuning.host_clocks import RECORDS, TUNING
from roles.gpu_tuning.settings import GpuTuningSettings
from tests.roles.gpu_power_host import FakeMachine
from tests.roles.host_facts import host_facts

# As driver 550's: it ends with 0 also when a card refuses, and with another card lost it knows cards by number alone.
# A card is a file UUID in `cards` with its graphics clock; UUID.graphics and UUID.memory are what it is locked to.
_NVIDIA_SMI = """#!/bin/sh
cd "$(dirname "$0")/cards" || exit 1
echo "$*" >>../asked
one= lock= reset= kind= query=
while [ $# -gt 0 ]; do
  case $1 in
  -i) one=$2; shift ;;
  -lgc) kind=graphics lock=$2; shift ;; -lmc) kind=memory lock=$2; shift ;;
  -rgc) kind=graphics reset=yes ;; -rmc) kind=memory reset=yes ;;
  --query-gpu=uuid) query=uuid ;; --query-gpu=*) query=now ;; --query-supported-clocks=*) query=supported ;;
  esac
  shift
done
set -- GPU-????-????
case $1 in *\\?) set -- ;; esac
if [ -e lost ]; then
  case $one in
  0 | GPU-*) echo "Problem with GPU 0: GPU is lost."; exit 255 ;;
  '') echo "Unable to determine the device handle for GPU0: 0000:10:00.0: GPU is lost."; exit 15 ;;
  esac
  set -- "" "$@"
fi
case $one in
'') ;;
[0-9]*) shift "$one" 2>/dev/null && [ -e "${1-}" ] || { echo "No devices were found"; exit 6; }; set -- "$1" ;;
*) [ -e "$one" ] || { echo "No devices were found"; exit 6; }; set -- "$one" ;;
esac
[ $# -gt 0 ] || { echo "No devices were found"; exit 6; }
for card in "$@"; do
  case $query in
  uuid) echo "$card"; continue ;;
  now) echo "$card, 00000000:10:00.0, 24576, $(cat "$card"), 405, 2100, 9751, NVIDIA GeForce RTX 3090"; continue ;;
  supported)
    if [ -e "$card.old" ]; then echo "$card, [N/A], [N/A]"; continue; fi
    for mhz in 2100 1400 210; do echo "$card, 9751, $mhz"; done; echo "$card, 405, 210"; continue ;;
  esac
  if [ -e "$card.stuck" ]; then
    echo "Setting locked GPU clocks is not supported for GPU 00000000:10:00.0."
    echo "Treating as warning and moving on."
  elif [ -n "$reset" ]; then rm -f "$card.$kind"
  else echo "$lock" >"$card.$kind"; echo "GPU clocks set to \\"($lock)\\" for GPU 00000000:10:00.0"; fi
  echo "All done."
done
"""
CARDS = tuple(f"GPU-000{number}-aaaa" for number in range(2))
MOST_1400: dict[str, object] = {"graphics_mhz": {"rtx-3090": [210, 1400]}}
BOTH: dict[str, object] = {**MOST_1400, "memory_mhz": {CARDS[1]: [405, 5001]}}


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    """Two RTX 3090 without a lock, idle."""
    found = FakeMachine(tmp_path, _NVIDIA_SMI)
    for card in CARDS:
        (tmp_path / "cards" / card).write_text("210\n")
    return found


def role(**settings: object) -> tuple[Resource, Resource]:
    unit, locks = gpu_tuning.role.resources(GpuTuningSettings.model_validate(settings), host_facts())
    return unit, locks


def deploy(machine: FakeMachine, **settings: object) -> list[str]:
    """Names of the operations that did something; each must succeed."""
    ran = []
    for resource in role(**settings):
        done = machine.converge(resource)
        if done is not None:
            assert done.returncode == 0, done.stdout + done.stderr
            ran.append(resource.name)
    return ran


def locked(machine: FakeMachine, kind: str = "graphics") -> list[str]:
    """What each card is locked to, by the card itself."""
    files = [machine.folder / "cards" / f"{card}.{kind}" for card in CARDS]
    return [file.read_text().strip() if file.exists() else "" for file in files]


def test_the_unit_locks_and_a_second_run_changes_nothing(machine: FakeMachine) -> None:
    assert deploy(machine, **BOTH) == ["boot unit"]
    assert locked(machine) == ["210,1400", "210,1400"]
    assert locked(machine, "memory") == ["", "405,5001"]
    assert deploy(machine, **BOTH) == []
    in_force = role(**BOTH)[1]
    assert isinstance(in_force, Noting)
    assert in_force.notes(machine.see(in_force)) == ()
    text = machine.path(TUNING.path).read_text()
    assert f"ExecStart=-{PROGRAM} {CARDS[0]} 210,1400 -\n" in text
    assert f"RuntimeDirectory={TUNING.stem}\n" in text
    for name in (TUNING.name, TUNING.resume_name):
        assert (machine.folder / f"{name}.enabled").exists()


def test_a_card_above_its_lock_is_drift_and_is_locked_again(machine: FakeMachine) -> None:
    deploy(machine, **MOST_1400)
    (machine.folder / "cards" / f"{CARDS[1]}.graphics").unlink()  # nvidia-smi -rgc by hand
    assert deploy(machine, **MOST_1400) == []  # idle: nothing tells
    (machine.folder / "cards" / CARDS[1]).write_text("1695\n")
    how = f"{CARDS[1]} runs its graphics clock at 1695 MHz, locked to at most 1400"
    unit, in_force = role(**MOST_1400)
    assert machine.compare(unit) is None
    assert machine.compare(in_force) == Difference(how, Certainty.CERTAIN)
    assert deploy(machine, **MOST_1400) == ["locks in force"]
    assert locked(machine) == ["210,1400", "210,1400"]
    (machine.folder / "cards" / CARDS[1]).write_text("1410\n")  # the nearest step
    assert deploy(machine, **MOST_1400) == []


def test_a_lock_that_was_not_set_since_boot_is_set(machine: FakeMachine) -> None:
    deploy(machine, **MOST_1400)
    machine.path(f"{RECORDS}/{CARDS[0]}").unlink()
    assert deploy(machine, **MOST_1400) == ["locks in force"]
    machine.path(f"{RECORDS}/{CARDS[0]}").write_text("graphics 210,1500\n")
    assert deploy(machine, **MOST_1400) == ["locks in force"]
    assert deploy(machine, **MOST_1400) == []


def test_whatever_is_missing_of_the_unit_comes_back(machine: FakeMachine) -> None:
    deploy(machine, **MOST_1400)
    spoilt: tuple[Callable[[], object], ...] = (
        machine.path(TUNING.path).unlink,
        machine.path(TUNING.rules_path).unlink,
        lambda: machine.path(TUNING.resume_path).write_text("x"),
        lambda: machine.path(PROGRAM).write_text("#!/bin/sh\n"),
        (machine.folder / f"{TUNING.name}.enabled").unlink,
        (machine.folder / f"{TUNING.name}.active").unlink,
    )
    for number, spoil in enumerate(spoilt):
        spoil()
        assert deploy(machine, **MOST_1400) == ["boot unit"], number
        assert deploy(machine, **MOST_1400) == [], number


def test_another_program_is_run_at_once(machine: FakeMachine) -> None:
    deploy(machine, **MOST_1400)
    machine.path(PROGRAM).write_text("#!/bin/sh\n")
    machine.path(f"{RECORDS}/{CARDS[0]}").unlink()
    done = machine.converge(role(**MOST_1400)[0])
    assert done is not None
    assert machine.path(f"{RECORDS}/{CARDS[0]}").read_text() == "graphics 210,1400\n"


def test_a_card_that_refuses_leaves_the_others_locked_and_is_named(machine: FakeMachine) -> None:
    (machine.folder / "cards" / f"{CARDS[0]}.stuck").touch()
    unit, in_force = role(**MOST_1400)
    done = machine.converge(unit)
    assert done is not None
    assert done.returncode == 0
    assert locked(machine) == ["", "210,1400"]
    done = machine.converge(in_force)
    assert done is not None
    assert done.returncode == 1
    assert (
        f"{CARDS[0]}: graphics clock 210,1400 MHz: Setting locked GPU clocks is not supported" in done.stderr
    )
    assert CARDS[1] not in done.stderr


def test_a_lost_card_keeps_its_line_and_the_other_is_locked(machine: FakeMachine) -> None:
    deploy(machine, **MOST_1400)
    (machine.folder / "cards" / CARDS[0]).unlink()
    (machine.folder / "cards" / f"{CARDS[1]}.graphics").unlink()
    (machine.folder / "cards" / "lost").touch()
    machine.path(f"{RECORDS}/{CARDS[1]}").unlink()
    assert deploy(machine, **MOST_1400) == ["locks in force"]
    assert locked(machine)[1] == "210,1400"
    assert CARDS[0] in machine.path(TUNING.path).read_text()
    assert deploy(machine, **MOST_1400) == []
    in_force = role(**MOST_1400)[1]
    assert isinstance(in_force, Noting)
    (note,) = in_force.notes(machine.see(in_force))
    assert f"rtx-3090 {CARDS[0]} does not answer" in note


def test_what_is_not_asked_for_any_more_is_given_back_and_nothing_else(machine: FakeMachine) -> None:
    deploy(machine, **BOTH)
    assert deploy(machine, **MOST_1400) == ["boot unit"]
    assert (locked(machine), locked(machine, "memory")) == (["210,1400"] * 2, ["", ""])
    assert deploy(machine, graphics_mhz={CARDS[1]: [210, 1400]}) == ["boot unit"]
    assert locked(machine) == ["", "210,1400"]
    assert deploy(machine) == ["boot unit"]
    assert locked(machine) == ["", ""]
    left = (TUNING.path, TUNING.resume_path, TUNING.rules_path, PROGRAM)
    assert not any(machine.path(path).exists() for path in left)
    assert not list(machine.folder.glob("*.enabled"))
    assert deploy(machine) == []


def test_the_program_notes_what_it_did_and_nothing_of_what_it_undid(machine: FakeMachine) -> None:
    deploy(machine, **BOTH)
    program = [str(machine.folder / "ran"), str(machine.path(PROGRAM))]
    path = {"PATH": f"{machine.folder}:{os.environ['PATH']}"}
    subprocess.run([*program, CARDS[1], "reset", "-"], check=True, env=path)
    assert machine.path(f"{RECORDS}/{CARDS[1]}").read_text() == "memory 405,5001\n"
    subprocess.run([*program, CARDS[1], "210,1500", "-"], check=True, env=path)
    assert sorted(machine.path(f"{RECORDS}/{CARDS[1]}").read_text().splitlines()) == [
        "graphics 210,1500",
        "memory 405,5001",
    ]
    (machine.folder / "cards" / f"{CARDS[1]}.stuck").touch()
    refused = subprocess.run([*program, CARDS[1], "-", "reset"], check=False, env=path)
    assert refused.returncode == 1
    assert "memory 405,5001" in machine.path(f"{RECORDS}/{CARDS[1]}").read_text()


def test_a_host_where_nothing_is_asked_for_is_not_even_asked(machine: FakeMachine) -> None:
    assert [machine.compare(resource) for resource in role()] == [None, None]
    assert not (machine.folder / "asked").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"graphics_mhz": {"rtx-3090": [100, 1400]}}, "100 to 1400 MHz, expected within 210 to 2100 MHz"),
        ({"graphics_mhz": {"all": [210, 2500]}}, "takes no such graphics clock"),
        ({"memory_mhz": {CARDS[0]: [405, 9752]}}, "expected within 405 to 9751 MHz"),
        ({"graphics_mhz": {"GPU-0009-aaaa": [210, 1400]}}, "no card here has this UUID"),
        ({"memory_mhz": {"rtx-4090": [405, 810]}}, "gpu_tuning.memory_mhz: no card here is of this model"),
    ],
)
def test_what_the_cards_cannot_do_is_refused_before_anything_changes(
    machine: FakeMachine, settings: dict[str, object], message: str
) -> None:
    for resource in role(**settings):
        with pytest.raises(BadInput, match=message):
            machine.compare(resource)
    assert locked(machine) == ["", ""]


def test_a_card_that_lists_no_clocks_is_held_to_its_highest(machine: FakeMachine) -> None:
    (machine.folder / "cards" / f"{CARDS[0]}.old").touch()
    assert deploy(machine, graphics_mhz={CARDS[0]: [1, 1400]}) == ["boot unit"]
    assert deploy(machine, graphics_mhz={CARDS[0]: [1, 1400]}) == []
    with pytest.raises(BadInput, match="within its least to 2100 MHz"):
        machine.compare(role(graphics_mhz={CARDS[0]: [1, 2101]})[0])


def test_a_lock_is_the_least_then_the_most() -> None:
    with pytest.raises(ValidationError, match="the least clock first"):
        GpuTuningSettings.model_validate({"graphics_mhz": {"all": [1400, 210]}})


def test_what_is_wanted_has_a_digest_of_its_own() -> None:
    different: list[dict[str, object]] = [{}, MOST_1400, BOTH, {"memory_mhz": {"rtx-3090": [210, 1400]}}]
    for place in (0, 1):
        digests = [role(**settings)[place].digest() for settings in different]
        assert len(set(digests)) == len(different)
        assert digests == [role(**settings)[place].digest() for settings in different]
