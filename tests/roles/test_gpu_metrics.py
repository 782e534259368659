"""The script that writes the cards' metrics, run for real on what nvidia-smi says of good cards and of bad ones."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from labctl.power.reading import answers
from roles.monitoring.gpu_metrics import script
from roles.monitoring.metrics import FIELDS, METRICS, REASONS

GEFORCE, A100 = "GPU-51b01a7e-0000-4000-8000-000000000000", "GPU-51b01a7e-0000-4000-8000-000000000001"
_ANSWERS = {
    "uuid": (GEFORCE, A100),
    "temperature.gpu": ("65", "41"),
    "fan.speed": ("30", "[N/A]"),
    "power.draw": ("279.54", "61.20"),
    "power.limit": ("280.00", "400.00"),
    "memory.total": ("24576", "40960"),
    "memory.used": ("1", "0"),
    "utilization.gpu": ("97", "0"),
    "clocks.gr": ("1695", "210"),
    "clocks.mem": ("9501", "1215"),
    "ecc.errors.corrected.volatile.total": ("[N/A]", "3"),
    "ecc.errors.uncorrected.volatile.total": ("[N/A]", "0"),
    "pcie.link.gen.current": ("4", "1"),
    "pcie.link.gen.max": ("4", "4"),
    "pcie.link.width.current": ("16", "8"),
    "pcie.link.width.max": ("16", "16"),
    "clocks_event_reasons.sw_power_cap": ("Active", "[N/A]"),
    "pci.bus_id": ("00000000:10:00.0", "00000000:20:00.0"),
    "driver_version": ("580.95.05", "580.95.05"),
    "name": ("NVIDIA GeForce RTX 3090", 'NVIDIA "A100", 40 GB'),
}
ROWS = [
    ", ".join(_ANSWERS.get(field, ("Not Active", "Not Active"))[card] for field in FIELDS) for card in (0, 1)
]


def metrics(folder: Path, said: str, *arguments: str, **environment: str) -> dict[str, str]:
    """Samples by name and labels, of what the script writes where nvidia-smi is a script (sh)."""
    nvidia_smi = folder / "nvidia-smi"
    if said:
        nvidia_smi.write_text(f"#!/bin/sh\n{said}\n")
        nvidia_smi.chmod(0o755)
    done = subprocess.run(
        ["sh", "-s", "--", *arguments],
        input=script(str(folder / "gpu.prom")),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{folder}:{os.environ['PATH']}", **environment},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (folder / "gpu.prom.new").exists()
    text = (folder / "gpu.prom").read_text()
    _is_of_the_format(text)
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def _is_of_the_format(text: str) -> None:
    """What the exporter would refuse the whole file for: a metric told of in two places, or without its type."""
    told: list[str] = []
    for line in text.splitlines():
        name = line.split()[2] if line.startswith("#") else re.split(r"[{ ]", line)[0]
        if not told or told[-1] != name:
            assert line.startswith("# HELP"), line
            assert name not in told, name
            told.append(name)
        else:
            assert re.fullmatch(r'# TYPE \S+ (gauge|counter)|\w+({(\w+="[^"\\]*",?)+})? [0-9.]+', line), line
    assert text.endswith("\n")


def test_every_field_is_asked_for_once() -> None:
    assert len(set(FIELDS)) == len(FIELDS) == len(METRICS) + len(REASONS) + 4
    assert answers("\n".join(ROWS), len(FIELDS)).rows[1][-1] == 'NVIDIA "A100", 40 GB'


def test_two_cards(tmp_path: Path) -> None:
    said = [*ROWS, "WARNING: infoROM is corrupted at gpu 0000:10:00.0"]
    found = metrics(tmp_path, "\n".join(f"echo '{line}'" for line in said))
    first, second = f'{{uuid="{GEFORCE}"}}', f'{{uuid="{A100}"}}'
    assert (found["labctl_gpu_up"], found["labctl_gpu_cards"]) == ("1", "2")
    assert found[f"labctl_gpu_temperature_celsius{first}"] == "65"
    assert found[f"labctl_gpu_fan_ratio{first}"] == "0.30"
    assert f"labctl_gpu_fan_ratio{second}" not in found
    assert found[f"labctl_gpu_power_draw_watts{first}"] == "279.54"
    assert found[f"labctl_gpu_memory_total_bytes{second}"] == str(40 * 2**30)
    assert found[f"labctl_gpu_memory_used_bytes{first}"] == "1048576"
    assert found[f"labctl_gpu_graphics_clock_hertz{first}"] == "1695000000"
    assert found[f"labctl_gpu_pcie_link_lanes{second}"] == "8"
    assert found[f'labctl_gpu_ecc_errors_total{{uuid="{A100}",type="corrected"}}'] == "3"
    assert not any("ecc" in name and GEFORCE in name for name in found)
    assert found[f'labctl_gpu_throttled{{uuid="{GEFORCE}",reason="sw_power_cap"}}'] == "1"
    assert found[f'labctl_gpu_throttled{{uuid="{GEFORCE}",reason="hw_slowdown"}}'] == "0"
    assert f'labctl_gpu_throttled{{uuid="{A100}",reason="sw_power_cap"}}' not in found
    labels = f'uuid="{A100}",bus="00000000:20:00.0",driver="580.95.05",name="NVIDIA A100, 40 GB"'
    assert found[f"labctl_gpu_info{{{labels}}}"] == "1"


def test_what_was_written_of_a_card_that_is_lost_goes(tmp_path: Path) -> None:
    metrics(tmp_path, "\n".join(f"echo '{row}'" for row in ROWS))
    lost = "Unable to determine the device handle for GPU0: 0000:10:00.0: GPU is lost.  Reboot the system"
    by_number = f"case $* in *'-i 0') echo '{lost}' ;; *'-i 1') echo '{ROWS[1]}' ;; *) "
    found = metrics(
        tmp_path,
        f"{by_number} case $* in *-i*) echo 'No devices were found' ;; *) echo '{lost}' ;; esac ;; esac",
    )
    assert (found["labctl_gpu_up"], found["labctl_gpu_cards"]) == ("0", "1")
    assert f'labctl_gpu_temperature_celsius{{uuid="{A100}"}}' in found
    assert not any(GEFORCE in name for name in found)


@pytest.mark.parametrize(
    "said",
    [
        "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
        "echo 'No devices were found'; exit 6",
        "exit 1",
        f"echo '{GEFORCE}, [GPU is lost], {ROWS[0].split(', ', 2)[2]}'",
        f"echo '{GEFORCE}, {', '.join(['[Unknown Error]'] * (len(FIELDS) - 1))}'",
    ],
)
def test_where_no_card_can_be_asked_nothing_is_up(tmp_path: Path, said: str) -> None:
    assert metrics(tmp_path, said) == {"labctl_gpu_up": "0", "labctl_gpu_cards": "0"}


def test_an_older_driver_is_asked_in_its_own_words(tmp_path: Path) -> None:
    said = (
        'case $* in *clocks_event_reasons*) echo \'Field "clocks_event_reasons.sw_power_cap" is not a valid field'
        f" to query.'; exit 2 ;; esac\necho '{ROWS[0]}'"
    )
    found = metrics(tmp_path, said)
    assert found["labctl_gpu_up"] == "1"
    assert found[f'labctl_gpu_throttled{{uuid="{GEFORCE}",reason="sw_power_cap"}}'] == "1"


def test_a_run_that_was_cut_off_leaves_no_old_numbers(tmp_path: Path) -> None:
    good = "\n".join(f"echo '{row}'" for row in ROWS)
    before = metrics(tmp_path, good)
    assert metrics(tmp_path, good, "ended", SERVICE_RESULT="success") == before
    assert metrics(tmp_path, good, "ended", SERVICE_RESULT="timeout") == {"labctl_gpu_up": "0"}
