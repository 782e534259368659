"""The checks of the roles about cards: each passes on what a good host said, and fails on each way it can be wrong."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from labctl.edges.checks import NotRunHere
from labctl.hoststate.facts import HostFacts
from roles.container_toolkit import checks as toolkit
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.cuda import checks as cuda
from roles.cuda.settings import CudaSettings
from roles.nvidia_driver import checks as driver
from roles.nvidia_driver.settings import NvidiaDriverSettings
from roles.nvidia_persistence import checks as persistence
from roles.nvidia_persistence.settings import NvidiaPersistenceSettings
from tests.roles.gpu_host import EVERYTHING_WRONG, TWO_3090
from tests.roles.host_facts import host_facts
from tests.roles.recorded_host import Answer, recorded_host

_ONE, _TWO = "GPU-51b01a7e-0000-4000-8000-000000000000", "GPU-51b01a7e-0000-4000-8000-000000000001"
_MODULES = "installed 550.163.01 proprietary\nloaded 550.163.01 proprietary\n"
_POLICY = "".join(
    f"{name}:\n  Installed: 550.163.01-2\n  Candidate: 550.163.01-2\n  Version table:\n"
    for name in ("nvidia-kernel-dkms", "libcuda1", "nvidia-smi", "nvidia-persistenced")
)
_TOOLKIT_POLICY = (
    "nvidia-cuda-toolkit:\n  Installed: 12.4.131~12.4.1-4\n  Candidate: 12.4.131~12.4.1-4\n  Version table:\n"
)
_CDI = f"""cdiVersion: 0.5.0
devices:
- name: {_ONE}
  containerEdits: {{}}
- name: "{_TWO}"
- name: all
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  - path: /dev/nvidia-uvm
  - path: /dev/nvidia-uvm-tools
  mounts:
  - hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.550.163.01
"""
GOOD: dict[str, Answer] = {
    "modinfo": _MODULES,
    "dpkg-query -W": "installed libcuda1 550.163.01-2\n",
    "dpkg-query -W -f '${db:Status-Status} ${Package}": "installed nvidia-cuda-toolkit\n",
    "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}": "installed libcuda1 550.163.01-2\n",
    "cat /proc/modules": "nvidia 1 0 - Live 0x0\n",
    "modprobe --showconfig": "blacklist nouveau\noptions nouveau modeset=0\n",
    "apt-cache policy nvidia-kernel-dkms": _POLICY,
    "apt-cache policy nvidia-cuda-toolkit": _TOOLKIT_POLICY,
    "cat-config modules-load.d": "# a file\nnvidia\nnvidia_uvm\n",
    "nvcc --version": "Cuda compilation tools, release 12.4, V12.4.131\n",
    "test -e": "",
    "test -e /run/cdi/nvidia.yaml": (1, "", ""),
    "nvidia-smi --query-gpu": f"{_ONE}, Enabled\n{_TWO}, Enabled\n",
    "systemctl is-active": "active\n",
    "systemctl show -p Wants": "getty.target nvidia-persistenced.service\n",
    "--query-gpu=uuid --format": f"{_ONE}\n{_TWO}\n",
    "nvidia-smi -L": f"GPU 0: RTX 3090 (UUID: {_ONE})\nGPU 1: RTX 3090 (UUID: {_TWO})\n",
    "cat /etc/cdi/nvidia.yaml": _CDI,
    "cat /proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue\n",
    "systemctl is-enabled": (1, "masked\n", ""),
    "modprobe -n": "",
    "command -v podman": "/usr/bin/podman\n",
    "podman run --rm --detach": "".join(
        f"{c} {w} saw {c} \n" for w in ("before", "after") for c in (_ONE, _TWO)
    ),
    "systemctl is-enabled labctl-cdi.service": "enabled\n",
}
SETTINGS: dict[ModuleType, Any] = {
    driver: NvidiaDriverSettings(source="distribution"),
    cuda: CudaSettings(),
    persistence: NvidiaPersistenceSettings(),
    toolkit: ContainerToolkitSettings(),
}
Check = Callable[..., None]
CHECKS: list[Check] = [
    check for module in SETTINGS for name, check in vars(module).items() if name.startswith("test_")
]


def run(
    check: Check, answers: Mapping[str, Answer], facts: HostFacts = TWO_3090, settings: Any = None
) -> None:
    module = inspect.getmodule(check)
    assert module
    fixtures: dict[str, Any] = {
        "host": recorded_host({**GOOD, **answers}),
        "settings": settings or SETTINGS[module],
        "facts": facts,
    }
    check(**{name: fixtures[name] for name in inspect.signature(check).parameters})


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_host_passes(check: Check) -> None:
    run(check, {})


@pytest.mark.parametrize(
    ("check", "answers", "message"),
    [
        (
            driver.test_loaded_module,
            {"modinfo": _MODULES.replace("loaded 550.163.01 proprietary", "loaded")},
            "no NVIDIA",
        ),
        (
            driver.test_loaded_module,
            {"modinfo": _MODULES.replace("loaded 550.163", "loaded 550.144")},
            "reboot",
        ),
        (
            driver.test_loaded_module,
            {"modinfo": _MODULES.replace("01 proprietary\nl", "01 open\nl")},
            "reboot",
        ),
        (driver.test_next_boot, {"modinfo": "installed\nloaded 550.163.01 proprietary\n"}, "has no module"),
        (driver.test_next_boot, {"modinfo": _MODULES.replace("550", "535")}, "not 550 proprietary"),
        (driver.test_next_boot, {"modinfo": _MODULES.replace("proprietary", "open")}, "not 550 proprietary"),
        (
            driver.test_libraries,
            {"dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}": "installed libcuda1 550.144-1\n"},
            "there is libcuda1 550.144",
        ),
        (
            driver.test_libraries,
            {
                "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}": "config-files libcuda1 550.163.01-2\n"
            },
            "neither",
        ),
        (driver.test_no_nouveau, {"cat /proc/modules": "nouveau 1 0 - Live 0x0\n"}, "nouveau is loaded"),
        (driver.test_no_nouveau, {"modprobe --showconfig": "blacklist radeon\n"}, "would load nouveau"),
        (
            driver.test_branch,
            {"apt-cache policy nvidia-kernel-dkms": _POLICY.replace("Candidate: 550", "Candidate: 595")},
            "what an upgrade would bring is 595",
        ),
        (
            driver.test_branch,
            {
                "apt-cache policy nvidia-kernel-dkms": _POLICY.replace(
                    "Installed: 550.163.01-2", "Installed: (none)"
                )
            },
            "installed is",
        ),
        (driver.test_modules_at_boot, {"cat-config modules-load.d": "nvidia\n#nvidia_uvm\n"}, "nvidia_uvm"),
        (cuda.test_compiler, {"nvcc --version": "release 13.0, V13.0.1"}, "nvcc is CUDA 13"),
        (cuda.test_compiler, {"nvcc --version": (127, "", "nvcc: not found")}, "not found"),
        (
            cuda.test_stays_12,
            {
                "apt-cache policy nvidia-cuda-toolkit": _TOOLKIT_POLICY.replace(
                    "Candidate: 12", "Candidate: 13"
                )
            },
            "would bring 13.4",
        ),
        (
            cuda.test_stays_12,
            {"dpkg-query -W -f '${db:Status-Status} ${Package}": ""},
            "no CUDA toolkit",
        ),
        (
            persistence.test_mode,
            {"nvidia-smi --query-gpu": f"{_ONE}, Enabled\n{_TWO}, Disabled\n"},
            f"off: {_TWO}",
        ),
        (persistence.test_mode, {"nvidia-smi --query-gpu": "No devices were found\n"}, "no card"),
        (persistence.test_daemon, {"systemctl is-active": (3, "failed\n", "")}, "is failed"),
        (persistence.test_daemon, {"systemctl show -p Wants": "getty.target\n"}, "does not ask"),
        (toolkit.test_devices, {"--query-gpu=uuid --format": f"{_ONE}\n"}, "nvidia-smi lists"),
        (toolkit.test_devices, {"cat /etc/cdi/nvidia.yaml": _CDI.replace(_ONE, '"0"')}, "offers 0, GPU-"),
        (
            toolkit.test_devices,
            {"cat /etc/cdi/nvidia.yaml": _CDI.replace("  - path: /dev/nvidia-uvm\n", "")},
            "does not offer /dev/nvidia-uvm: CUDA finds no card",
        ),
        (toolkit.test_devices, {"--query-gpu=uuid --format": ""}, "lists no card"),
        (
            toolkit.test_devices,
            {"--query-gpu=uuid --format": "", "nvidia-smi -L": (9, "", "couldn't communicate")},
            "couldn't communicate",
        ),
        (
            toolkit.test_driver,
            {"cat /etc/cdi/nvidia.yaml": _CDI.replace("550.163.01", "535.1")},
            "mounts 535.1",
        ),
        (toolkit.test_driver, {"cat /proc/driver/nvidia/version": "\n"}, "no driver is loaded"),
        (
            toolkit.test_boot,
            {"systemctl is-enabled labctl-cdi.service": (1, "disabled\n", "")},
            "is disabled",
        ),
        (
            toolkit.test_boot,
            {"systemctl is-enabled nvidia-cdi-refresh.path": "enabled\n"},
            "another description",
        ),
        (
            toolkit.test_boot,
            {"test -e /run/cdi/nvidia.yaml": ""},
            "/run/cdi/nvidia.yaml is another description",
        ),
        (toolkit.test_container, {"--query-gpu=uuid --format": ""}, "lists no card"),
        (
            toolkit.test_container,
            {"podman run --rm --detach": f"{_ONE} before saw {_ONE} {_TWO}\n{_TWO} before saw {_TWO}\n"},
            f"a container given {_ONE} sees {_ONE} and {_TWO}; .*a container given {_TWO} sees no card: no answer",
        ),
        (
            toolkit.test_container,
            {
                "podman run --rm --detach": f"{_TWO} start Error: unresolvable CDI devices\n"
                f"{_ONE} before saw {_ONE} \n{_ONE} after failed Failed to initialize NVML: Unknown Error\n"
            },
            f"after `systemctl daemon-reload` a container given {_ONE} sees no card: Failed.*; no .*{_TWO}: Error",
        ),
        (
            toolkit.test_container,
            {"podman run --rm --detach": f"{_ONE} before saw {_TWO} \n{_TWO} before saw \n"},
            f"given {_ONE} sees {_TWO}; a container given {_TWO} sees no card: nvidia-smi lists none",
        ),
        (
            toolkit.test_container,
            {
                "podman run --rm --detach": f"{_ONE} before lacks /dev/nvidia-uvm\n"
                + "".join(f"{_TWO} {when} saw {_TWO} \n" for when in ("before", "after"))
            },
            f"^a container given {_ONE} has no /dev/nvidia-uvm: CUDA finds no card there$",
        ),
    ],
)
def test_a_wrong_host_fails(check: Check, answers: dict[str, Answer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, answers)


def test_every_check_was_seen_failing() -> None:
    marks = test_a_wrong_host_fails.pytestmark  # type: ignore[attr-defined]  # of pytest's decorator
    (wrong,) = (mark for mark in marks if mark.name == "parametrize")
    assert {case[0] for case in wrong.args[1]} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_host_without_a_card_has_nothing_to_check(check: Check) -> None:
    with pytest.raises(NotRunHere, match="no NVIDIA card"):
        run(check, {}, host_facts())


def test_what_the_preflight_refuses_is_a_failed_check() -> None:
    with pytest.raises(AssertionError, match="no driver for this host"):
        run(driver.test_loaded_module, {}, EVERYTHING_WRONG, NvidiaDriverSettings())


@pytest.mark.parametrize("check", [persistence.test_mode, toolkit.test_devices])
def test_a_container_whose_driver_is_the_machines_has_nothing_to_check(check: Check) -> None:
    inside = replace(TWO_3090, container="lxc")
    with pytest.raises(NotRunHere, match="belongs to the machine outside"):
        run(check, {"test -e /proc/driver/nvidia/version": (1, "", "")}, inside)


def test_where_there_can_be_no_uvm_nobody_asks_for_it() -> None:
    """A container whose host never loaded the module."""
    without = _CDI.replace("  - path: /dev/nvidia-uvm\n", "")
    run(toolkit.test_devices, {"cat /etc/cdi/nvidia.yaml": without, "modprobe -n": (1, "", "")})


def test_without_podman_no_container_can_be_tried() -> None:
    with pytest.raises(NotRunHere, match="Podman is not installed"):
        run(toolkit.test_container, {"command -v podman": (127, "", "")})


@pytest.mark.parametrize(
    ("check", "settings", "reason"),
    [
        (driver.test_next_boot, NvidiaDriverSettings(manage=False), "manage is False"),
        (cuda.test_compiler, CudaSettings(toolkit=False), "containers only"),
        (persistence.test_mode, NvidiaPersistenceSettings(manage=False), "manage is False"),
        (toolkit.test_devices, ContainerToolkitSettings(manage=False), "manage is False"),
    ],
)
def test_what_nobody_asked_for_is_not_checked(check: Check, settings: Any, reason: str) -> None:
    with pytest.raises(NotRunHere, match=reason):
        run(check, {}, settings=settings)
