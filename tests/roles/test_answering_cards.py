"""One lost card silences nvidia-smi and nvidia-ctk for all of them: the scripts that ask and describe the others."""

import subprocess
from pathlib import Path

import pytest

from labctl.edges.templates import render
from labctl.hoststate.observation import Observations
from labctl.power import reading
from labctl.power.limits import Wanted
from labctl.rig.host_report import HANGS, NVIDIA_SMI, asking
from labctl.rig.reported import Lost
from roles.container_toolkit import deploy as toolkit
from roles.gpu_power.card_limits import CardLimits
from roles.gpu_power.host_limits import BOOT, READINGS
from roles.nvidia_driver.answering import ANSWERING, of_each
from roles.nvidia_driver.one_card import ONE_CARD, TEXT
from roles.nvidia_persistence import deploy as persistence

_ONE, _TWO = "GPU-51b01a7e-0000-4000-8000-000000000000", "GPU-51b01a7e-0000-4000-8000-000000000001"
_LOST = "Unable to determine the device handle for GPU0: 0000:10:00.0: GPU is lost. Reboot the system"
# As nvidia-smi: with a lost card it tells of none, also by UUID, and by number of each that answers.
_NVIDIA_SMI = f"""#!/bin/sh
case $* in
  "-i GPU-"*) echo "Problem with GPU 0: GPU is lost.  Reboot the system to recover this GPU"; exit 255 ;;
  "-i 0 -pm 1") echo "Problem with GPU 0: GPU is lost."; exit 255 ;;
  "-i 1 -pm 1") echo persistent ;;
  "-i 1 -pl "*) echo "limited to $4 W" ;;
  *"-i 0") echo "Problem with GPU 0: GPU is lost."; exit 255 ;;
  *"-i 1") case $* in *uuid,*) echo "{_TWO}, Enabled" ;; *uuid*) echo {_TWO} ;; *) echo Enabled ;; esac ;;
  *"-i "*) echo "No devices were found"; exit 6 ;;
  *) [ -z "$ALL" ] || {{ printf '%s\\n' {_TWO} {_ONE}; exit; }}
     echo "{_LOST}"; exit 15 ;;
esac
"""
# As above, and whoever asks for the first card, or for all, waits.
_HANGING = f"""#!/bin/sh
case $* in
  "-i 1 -pm 1") echo persistent ;;
  "-i 1 -pl "*) echo "limited to $4 W" ;;
  *"-i 1") case $* in *uuid,*) echo "{_TWO}, Enabled" ;; *uuid*) echo {_TWO} ;; *) echo Enabled ;; esac ;;
  *"-i "[2-9]*) echo "No devices were found"; exit 6 ;;
  *) exec sleep 30 ;;
esac
"""
# A driver of which every answer is waited for.
_STUCK = "#!/bin/sh\nexec sleep 30\n"
_FASTER = """#!/bin/sh
# STAND-IN for timeout: time goes a hundred times as fast.
shift 3
exec /usr/bin/timeout -k 1 0.2 "$@"
"""
_NVIDIA_CTK = '#!/bin/sh\necho "$NVIDIA_CTK_CDI_GENERATE_DEVICE_IDS" "$@"\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    for name, text in (("nvidia-smi", _NVIDIA_SMI), ("nvidia-ctk", _NVIDIA_CTK)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


@pytest.fixture(params=[_HANGING, _STUCK], ids=["one hangs", "all hang"])
def hanging(request: pytest.FixtureRequest, programs: Path) -> Path:
    (programs / "nvidia-smi").write_text(request.param)
    (programs / "timeout").write_text(_FASTER)
    (programs / "timeout").chmod(0o755)
    return programs


def _said(script: str, programs: Path, *arguments: str, **env: str) -> str:
    path = {"PATH": f"{programs}:/usr/bin:/bin", **env}
    return subprocess.run(
        ["sh", "-euc", script, "sh", *arguments], env=path, text=True, capture_output=True, check=True
    ).stdout


def test_the_others_are_asked_one_by_one(programs: Path) -> None:
    assert _said(ANSWERING, programs) == f"{_TWO}\n"
    assert _said(of_each("persistence_mode"), programs) == "Enabled\n"
    assert _said(of_each("uuid,persistence_mode"), programs) == f"{_TWO}, Enabled\n"


def test_all_are_asked_at_once_where_all_answer(programs: Path) -> None:
    assert _said(ANSWERING, programs, ALL="yes").split() == [_ONE, _TWO]


def test_one_card_is_told_by_its_number_while_another_is_lost(programs: Path) -> None:
    assert _said(f"{ONE_CARD}one_card {_TWO} -pl 280", programs) == "limited to 280 W\n"
    assert _said(TEXT, programs, "-i", _TWO, "-pl", "280") == "limited to 280 W\n"
    said = _said(f"{ONE_CARD}one_card {_ONE} -pl 280 || echo $?", programs)
    assert said.splitlines() == [
        "Problem with GPU 0: GPU is lost.  Reboot the system to recover this GPU",
        "255",
    ]


def test_persistence_mode_is_set_for_the_others(programs: Path) -> None:
    assert "persistent\n" in _said(f"set +e\n{persistence.script()}", programs)


def test_nvidia_ctk_is_told_which_cards_answer_where_one_does_not(programs: Path) -> None:
    script = render(toolkit.__file__, "describe-cards", answering=ANSWERING, nvidia_smi=NVIDIA_SMI)
    rest = "cdi generate --device-name-strategy=uuid --output=/there\n"
    assert _said(script, programs, "/there") == f"{_TWO} {rest}"
    assert _said(script, programs, "/there", ALL="yes") == f" {rest}"


def test_a_card_that_hangs_keeps_nobody_from_the_others(hanging: Path) -> None:
    one = (hanging / "nvidia-smi").read_text() == _HANGING
    answering = f"{{ {ANSWERING}; }} || true"
    assert _said(answering, hanging) == (f"{_TWO}\n" if one else "")
    limited = _said(f"{ONE_CARD}one_card {_TWO} -pl 280 || echo $?", hanging)
    assert limited == ("limited to 280 W\n" if one else f"{_TWO}: {HANGS}\n124\n")
    assert _said(f"{ONE_CARD}one_card {_ONE} -pl 280 || echo $?", hanging) == f"{_ONE}: {HANGS}\n124\n"
    known = (hanging / "nvidia-smi").read_text().replace("in\n", f'in\n  *uuid*"-i 0") echo {_ONE} ;;\n', 1)
    (hanging / "nvidia-smi").write_text(known)
    assert _said(f"{ONE_CARD}one_card {_ONE} -pl 280 || echo $?", hanging) == f"{_ONE}: {HANGS}\n124\n"
    mode = _said(f"set +e\n{persistence.script()}", hanging)
    assert f"card 0: {HANGS}\n" in mode
    assert ("persistent\n" in mode) == one


def test_a_card_that_hangs_is_told_of_by_its_number(hanging: Path) -> None:
    found = reading.answers(_said(f"set +e\n{asking('--query-gpu=uuid,persistence_mode')}", hanging), 2)
    assert found.lost[0] == Lost("card 0", HANGS)
    one = (hanging / "nvidia-smi").read_text() == _HANGING
    assert found.rows == (([_TWO, "Enabled"],) if one else ())


def test_nvidia_ctk_that_waits_for_a_card_is_ended(hanging: Path) -> None:
    (hanging / "nvidia-ctk").write_text(_STUCK)
    script = render(toolkit.__file__, "describe-cards", answering=ANSWERING, nvidia_smi=NVIDIA_SMI)
    said = _said(f"({script}) 2>&1 || echo $?", hanging, "/there")
    assert said.splitlines()[1:] == ["124"]
    assert "a card hangs; the cards stay described as they were" in said


def test_a_deploy_names_the_card_that_does_not_answer() -> None:
    lines = "".join(
        f"# {uuid} rtx-3090: default 350, range 100 to 350 W\nExecStart=-/usr/bin/nvidia-smi -i {uuid} -pl 280\n"
        for uuid in (_ONE, _TWO)
    )
    there = (
        f"{_TWO}, 00000000:20:00.0, 24576, 280.00, 350.00, 100.00, 350.00, Enabled, NVIDIA GeForce RTX 3090"
    )
    limits = CardLimits(Wanted({"rtx-3090": 280}, None))
    seen = Observations(texts={BOOT: lines, READINGS: f"{_LOST}\n{there}\n"})
    (note,) = limits.notes(seen)
    assert note.startswith(f"rtx-3090 {_ONE} does not answer (")
    assert "GPU is lost" in note
    both = there.replace(_TWO, _ONE) + "\n" + there
    assert limits.notes(Observations(texts={BOOT: lines, READINGS: both})) == ()
