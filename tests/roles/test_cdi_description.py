"""When the cards' description for containers is the current one: the script that a deploy asks, run for real."""

import os
import subprocess
from pathlib import Path

import pytest

from labctl.hoststate.condition import Condition
from roles.container_toolkit.deploy import container_toolkit
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.nvidia_driver.settings import NvidiaDriverSettings
from tests.roles.gpu_host import TWO_3090

_UUIDS = tuple(f"GPU-51b01a7e-0000-4000-8000-{number:012d}" for number in range(2))
_DESCRIPTION = "".join(
    (
        *(f"- name: {uuid}\n" for uuid in _UUIDS),
        *(f"  - path: /dev/{node}\n" for node in ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools")),
        "  - hostPath: /usr/lib/libcuda.so.580.95.05\n",
    )
)
_DEVICES = "Character devices:\n  1 mem\n195 nvidia\n505 nvidia-uvm\n\nBlock devices:\n259 blkext\n"


class Machine:
    """A folder for /proc, /dev and /etc of a host whose driver is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for each in ("proc/driver/nvidia", "dev", "etc/cdi", "bin"):
            (folder / each).mkdir(parents=True)
        self.write(
            "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue\n"
        )
        self.write("proc/devices", _DEVICES)
        self.write("etc/cdi/nvidia.yaml", _DESCRIPTION.replace("/dev/", f"{folder}/dev/"))
        self.program("nvidia-smi", "printf '%s\\n' " + " ".join(_UUIDS))
        self.program("modprobe", "exit 0")
        (folder / "dev/nvidia-uvm").symlink_to("/dev/null")  # a character device

    def write(self, path: str, text: str) -> None:
        """A file."""
        (self.folder / path).write_text(text)

    def program(self, name: str, text: str) -> None:
        """What is found on its PATH."""
        self.write(f"bin/{name}", f"#!/bin/sh\n{text}\n")
        (self.folder / "bin" / name).chmod(0o755)

    def lose(self, words: str) -> None:
        """Take a line out of the description."""
        path = self.folder / "etc/cdi/nvidia.yaml"
        path.write_text("".join(each for each in path.read_text().splitlines(True) if words not in each))

    def says(self) -> str:
        """What the condition's probe prints."""
        settings = NvidiaDriverSettings(source="distribution")
        (condition,) = (
            each
            for each in container_toolkit.role.resources(ContainerToolkitSettings(), TWO_3090, settings)
            if isinstance(each, Condition) and each.name == "CDI devices"
        )
        script = condition.probe
        for path in ("/proc/", "/etc/", "/dev/nvidia"):
            script = script.replace(path, f"{self.folder}{path}")
        environment = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=False, env=environment
        ).stdout.strip()


def test_what_describes_every_card_and_the_node_of_cuda_is_current(tmp_path: Path) -> None:
    assert Machine(tmp_path).says() == "current"


@pytest.mark.parametrize("lost", ["nvidia-uvm\n", _UUIDS[1], "libcuda"])
def test_what_lacks_one_of_them_is_not(tmp_path: Path, lost: str) -> None:
    machine = Machine(tmp_path)
    if lost.endswith("\n"):  # the tools' node is not the node
        text = (tmp_path / "etc/cdi/nvidia.yaml").read_text()
        machine.write("etc/cdi/nvidia.yaml", text.replace(f"/dev/{lost}", "/dev/nvidia-modeset\n"))
    else:
        machine.lose(lost)
    assert machine.says() == ""


def test_a_node_that_is_described_and_not_there_is_created(tmp_path: Path) -> None:
    """As after a boot at which nobody did, with the description of the boot before."""
    machine = Machine(tmp_path)
    (tmp_path / "dev/nvidia-uvm").unlink()
    assert machine.says() == ""


def test_a_module_that_nobody_loaded_is_missed_where_it_could_be_loaded(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write("proc/devices", _DEVICES.replace("505 nvidia-uvm\n", ""))
    machine.lose("nvidia-uvm")
    assert machine.says() == ""
    machine.program("modprobe", "exit 1")
    assert machine.says() == "current"


def test_a_card_that_is_described_and_does_not_answer_is_no_difference(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.program("nvidia-smi", f"echo {_UUIDS[1]}")
    assert machine.says() == "current"
