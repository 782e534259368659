"""`labctl gpus` and `labctl rig`: what people and tools see, of this machine, of an inventory and of a file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from labctl.__main__ import run
from labctl.cli.gpus_document import gpus_document
from labctl.cli.gpus_text import WIDTH, gpus_text
from labctl.edges import catalog, inventory_argument, machines, nvml
from labctl.edges.rigs import read_rig
from labctl.errors import BAD_INPUT, DONE, FAILED, BadInput
from labctl.rig.live import LiveHost, Reading, planned
from labctl.rig.reported import Process
from labctl.rig.rig import Card, Cpu, Host, Pcie
from labctl.rig.unlisted import unlisted
from tests.house_rules.tree import ROOT

RECORDINGS = ROOT / "tests" / "cases" / "nvidia_smi"
RIGS = sorted((ROOT / "workloads" / "rigs").glob("*.yaml"))


def busy() -> LiveHost:
    """Two cards with everything that can be told of them."""
    first = Card(
        id="GPU-00000000-0000-0000-0000-000000000000",
        host="aibox",
        index=0,
        gpu=catalog.gpu("rtx-3090"),
        memory_mib=24123,
        foreign_mib=500,
        power_limit_watts=280,
        pci="00000000:41:00.0",
        nvlink=(1,),
        pcie=Pcie(3, 8, 4, 16),
    )
    second = Card(
        id="GPU-00000000-0000-0000-0000-000000000001",
        host="aibox",
        index=1,
        gpu=catalog.gpu("rtx-pro-6000-max-q"),
        memory_mib=None,
        nvlink=(0,),
        mig=True,
        compute_mode="exclusive_process",
    )
    processes = (
        Process(977, "/usr/lib/xorg/Xorg vt1", 500, "G"),
        Process(1234, "/app/llama-server", 18_000, "C", "labctl-chat.service", ours=True),
        Process(5, "", None),
    )
    readings = (
        Reading(first, 24576, 18_000, 500, 5_623, 62, 45, 276.6, 97, 3, 2, processes),
        Reading(second, None, 0, 0, None),
    )
    host = Host(
        "aibox",
        (first, second),
        Cpu("AMD EPYC 7282", 1, 16),
        131072,
        1600,
        2000,
        driver="580.95.05",
        cuda="13.0",
    )
    problem = "card 2: this card does not answer: GPU is lost.  Reboot the system to recover this GPU"
    return LiveHost(host, readings, 101_000, (problem,))


SHOWN = """\
aibox · driver 580.95.05 · CUDA 13.0 · RAM 128 GiB, 99 free · PSU 1600 W · AMD …
 # card                °C  fan     watts  memory                    GiB  busy
 0 RTX 3090            62  45%   277/280  ██████████▓···  17.6+0.5/23.6   97%
 1 RTX PRO 6000 Max-Q   –    –       –/–  ??????????????        unknown     –
   memory: █ ours ▓ others · free; GiB: ours+others/all that CUDA can use
   █ card 0   18,000 MiB  llama-server (1234) in labctl-chat.service
   ▓ card 0      500 MiB  Xorg (977)
   ▓ card 0        ? MiB  ? (5)
   NVLink: 0–1
! card 0: PCIe ×8 of ×16: the slot, a riser or a lane shared with another
! card 0: 2 uncorrected memory errors since the driver was loaded
! card 1: MIG splits this card: turn it off with `nvidia-smi -mig 0`, or leave
  the card out
! card 1: compute mode is EXCLUSIVE_PROCESS, one process at a time: `nvidia-smi
  -c 0` shares the card
! card 1: nobody knows how much memory it has
! card 2: this card does not answer: GPU is lost.  Reboot the system to recover
  this GPU
"""


def test_a_busy_machine_as_people_see_it() -> None:
    assert gpus_text((busy(),)) == SHOWN


def test_colour_changes_no_word() -> None:
    import re

    coloured = gpus_text((busy(),), colour=True)
    assert coloured != SHOWN
    assert re.sub(r"\x1b\[\d+m", "", coloured) == SHOWN


@pytest.mark.parametrize("path", RIGS, ids=lambda path: path.stem)
def test_every_seed_rig_fits_a_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gpus", "--rig", str(path)]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= WIDTH
    assert not any("\x1b" in line for line in lines)
    cards = len(read_rig(str(path)).cards)
    assert sum(line[:3].strip().isdecimal() for line in lines) == cards


def test_a_bar_is_to_scale_and_shows_who_holds_little() -> None:
    gpu = catalog.gpu("rtx-3090")
    for ours, others, bar in (
        (0, 0, "··············"),
        (24_000, 0, "██████████████"),
        (12_000, 12_000, "███████▓▓▓▓▓▓▓"),
        (1, 1, "█▓············"),
        (24_000, 1, "██████████████"),
        (0, 30_000, "▓▓▓▓▓▓▓▓▓▓▓▓▓▓"),
    ):
        card = Card("box/0", "box", 0, gpu, 24_000, foreign_mib=others)
        reading = Reading(card, 24_576, ours, others, max(0, 24_000 - ours - others))
        assert bar in gpus_text((LiveHost(Host("box", (card,)), (reading,)),)).splitlines()[2]


def test_a_long_name_moves_no_column() -> None:
    gpu = unlisted("NVIDIA GeForce RTX 4070 Laptop GPU, second of its kind", "8.9", 8188)
    card = Card("box/0", "box", 0, gpu, 7798)
    lines = gpus_text((planned(Host("box", (card,))),)).splitlines()
    assert lines[2].startswith(" 0 RTX 4070 Laptop G…   –    –")
    assert len(lines[2]) == len(SHOWN.splitlines()[2])


def test_json_has_every_key_live_and_from_a_file() -> None:
    live = gpus_document((busy(),), live=True)
    filed = gpus_document(tuple(planned(each) for each in read_rig(str(RIGS[0])).hosts), live=False)
    assert keys(live) == keys(filed) | {"processes.pid", "processes.name", "processes.memory_mib"} | {
        f"processes.{key}" for key in ("kind", "unit", "ours")
    } | {
        f"pcie.{key}"
        for key in ("generation", "lanes", "device_generation", "device_lanes", "generation_now")
    }
    json.dumps(live)


def keys(document: dict[str, object]) -> set[str]:
    found: set[str] = set()

    def walk(value: object, under: str) -> None:
        if isinstance(value, list):
            for each in value:
                walk(each, under)
        elif isinstance(value, dict):
            for key, each in value.items():
                found.add(f"{under}.{key}" if under else key)
                walk(each, key)

    walk(document, "")
    return found


def test_json_says_what_is_ours_and_what_is_in_the_way() -> None:
    document: Any = gpus_document((busy(),), live=True)
    (host,) = document["hosts"]
    first, second = host["gpus"]
    assert first["memory"] == {
        "total_mib": 24576,
        "cuda_mib": 24123,
        "unified": False,
        "ours_mib": 18000,
        "foreign_mib": 500,
        "free_mib": 5623,
        "reserved_mib": 1024,
        "usable_mib": 24123 - 500 - 1024,
    }
    assert first["pcie"]["generation_now"] == 3
    assert [each["ours"] for each in first["processes"]] == [False, True, False]
    assert len(second["obstacles"]) == 3
    assert host["problems"]


def test_without_a_driver_it_failed_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nvml, "_DEVICES", ())
    for command in ("gpus", "rig"):
        assert run([command]) == FAILED
        said = capsys.readouterr()
        assert "install NVIDIA's driver" in said.err
        assert "--rig" in said.err
        assert said.out == ""
    assert run(["gpus", "--json"]) == FAILED
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == FAILED


def test_two_machines_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gpus", "--rig", str(RIGS[0]), "--inventory", "@local"]) == BAD_INPUT
    assert "leave one of them out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "path", "host"),
    [
        ("inventory/home.py", "inventory/home.py", None),
        ("inventory/home.py:aibox", "inventory/home.py", "aibox"),
        ("@local", "@local", None),
        ("@ssh/192.168.1.20", "@ssh/192.168.1.20", None),
        ("fe80::1", "fe80::1", None),
    ],
)
def test_an_inventory_and_a_host_of_it(text: str, path: str, host: str | None) -> None:
    assert inventory_argument.split(text) == (path, host)


def test_a_colon_without_a_host_is_refused() -> None:
    with pytest.raises(BadInput, match="no host behind the colon"):
        inventory_argument.split("inventory/home.py:")


def test_an_inventory_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["gpus", "--inventory", "nowhere.py"]) == BAD_INPUT
    assert "nowhere.py" in capsys.readouterr().err


def stand_in(folder: Path, answers: dict[str, str], status: int = 0) -> dict[str, str]:
    """An environment in which `nvidia-smi ARGUMENTS` prints a file."""
    lines = ["#!/bin/sh", 'case "$*" in']
    for number, (arguments, text) in enumerate(answers.items()):
        (folder / f"answer{number}").write_text(text)
        lines.append(f'"{arguments}") cat {folder}/answer{number}; exit {status} ;;')
    lines += ["esac", "exit 0"]
    program = folder / "nvidia-smi"
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)
    return os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}


def labctl(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labctl", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_an_inventorys_host_answers_one_command(tmp_path: Path) -> None:
    """Through pyinfra, against this machine, whose nvidia-smi prints a recording."""
    env = stand_in(
        tmp_path,
        {
            "-q -x": (RECORDINGS / "rtx-4070-laptop.xml").read_text(),
            "--query-gpu=pci.bus_id,compute_cap --format=csv,noheader": "00000000:01:00.0, 8.9\n",
            "topo -m": "\tGPU0\tCPU Affinity\nGPU0\t X \t0-15\n",
        },
    )
    inventory = tmp_path / "house.py"
    inventory.write_text('hosts = ["@local"]\n')
    shown = labctl("gpus", "--inventory", str(inventory), "--json", env=env)
    assert shown.returncode == DONE, shown.stderr
    (host,) = json.loads(shown.stdout)["hosts"]
    assert host["name"] == os.uname().nodename
    (gpu,) = host["gpus"]
    assert (gpu["title"], gpu["compute_capability"]) == ("NVIDIA GeForce RTX 4070 Laptop GPU", "8.9")
    assert gpu["memory"]["foreign_mib"] == 2026
    printed = labctl("rig", "--inventory", f"{inventory}:@local", env=env)
    assert printed.returncode == DONE, printed.stderr
    saved = tmp_path / "rig.yaml"
    saved.write_text(printed.stdout)
    rig = read_rig(str(saved))
    assert rig.cards[0].gpu.title == "NVIDIA GeForce RTX 4070 Laptop GPU"
    assert rig.hosts[0].driver == "575.51.02"


def test_an_inventorys_host_without_a_driver(tmp_path: Path) -> None:
    said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"
    env = stand_in(tmp_path, {"-q -x": said}, status=9)
    shown = labctl("gpus", "--inventory", "@local", env=env)
    assert shown.returncode == FAILED
    assert "install NVIDIA's driver" in " ".join(shown.stdout.split())
    printed = labctl("rig", "--inventory", "@local", "--json", env=env)
    assert printed.returncode != DONE


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", "reboot that machine"),
        ("nvidia-smi: not found", "is not installed"),
        ("No devices were found", "sees no card"),
    ],
)
def test_what_nvidia_smi_complains_of_gets_an_answer(said: str, hint: str) -> None:
    found = machines.read("aibox", f"@@labctl nvidia-smi\n{said}\n@@labctl end\n")
    assert found.host.cards == ()
    assert said in found.problems[0]
    assert hint in found.problems[0]


def test_a_lost_card_makes_the_saved_rig_incomplete_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(nvml, "live", busy)
    assert run(["gpus"]) == FAILED
    assert capsys.readouterr().out == SHOWN
    assert run(["rig"]) == FAILED
    printed = capsys.readouterr()
    assert "# Not read: aibox: card 2" in printed.out
    assert "the rig is not complete" in printed.err
