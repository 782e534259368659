"""What somebody changes by hand on a host with cards: a check names it as drift, and a deploy corrects just that.

Changes that belong to different operations are made together: what a check names is told apart all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from roles.container_toolkit.deploy import CDI, OTHERS, OTHERS_CDI
from roles.container_toolkit.deploy import UNIT as CDI_UNIT
from roles.container_toolkit.deploy import UNIT_FILE as CDI_UNIT_FILE
from roles.cuda.deploy import PINS as CUDA_PINS
from roles.cuda.deploy import PROFILE
from roles.gpu_power.host_limits import POWER
from roles.nvidia_driver.deploy import LOAD, NO_NOUVEAU, PINS
from roles.nvidia_persistence.deploy import DROP_IN, WANTED
from roles.nvidia_persistence.deploy import UNIT as DAEMON
from tests.host import gpu_layers, stand_in_driver
from tests.host.gpu_box import LIMITED, LIMITS, GpuBox
from tests.host.hosts import ThrowawayHosts
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

_TOOLKIT_SOURCE = "/etc/apt/sources.list.d/labctl-container-toolkit.sources"
_TOOLKIT_KEY = "/etc/apt/keyrings/labctl-container-toolkit.gpg"
_PERSISTENCE = "nvidia_persistence: persistence mode"
_LIMITS_IN_FORCE = "gpu_power: limits in force"
_INSTALL = "apt-get -qq -o DPkg::Lock::Timeout=60 --allow-downgrades install"


@dataclass(frozen=True)
class Change:
    """What root does by hand, and the operations that must follow from it.

    settles: operations that may have nothing left to do once this one is corrected, or may come before what corrects
    them: who starts the daemon has persistence and limits set again.
    """

    name: str
    command: str
    operations: frozenset[str]
    settles: frozenset[str] = frozenset()


def _change(name: str, command: str, *operations: str, settles: tuple[str, ...] = ()) -> Change:
    return Change(name, command, frozenset(operations), frozenset(settles))


_ROUNDS = (
    (
        _change("pins edited", f"echo '# mine' >>{PINS}", "nvidia_driver: pins"),
        _change(
            "nouveau let in",
            f"rm {NO_NOUVEAU}",
            "nvidia_driver: modules at boot",
            "nvidia_driver: initramfs",
        ),
        _change("CUDA's pins gone", f"rm {CUDA_PINS}", "cuda: settings"),
        _change("persistence off", "nvidia-smi -pm 0", _PERSISTENCE),
        _change("source edited", f"sed -i s/amd64/i386/ {_TOOLKIT_SOURCE}", "container_toolkit: repository"),
        _change("cards not described", f"rm {CDI}", "container_toolkit: CDI devices"),
        _change("limits by hand", "nvidia-smi -pl 300", _LIMITS_IN_FORCE),
    ),
    (
        _change("modules-load gone", f"rm {LOAD}", "nvidia_driver: modules at boot"),
        _change(
            "module removed",
            f"dkms remove nvidia-current/{stand_in_driver.VERSION} --all",
            "nvidia_driver: module for the kernel that boots next",
        ),
        _change("compiler removed", "apt-get -qq purge nvidia-cuda-toolkit", "cuda: toolkit"),
        _change(
            "daemon stopped",
            f"systemctl stop {DAEMON}",
            "nvidia_persistence: daemon",
            _PERSISTENCE,
            settles=(_PERSISTENCE, _LIMITS_IN_FORCE),
        ),
        _change("CDI edited", f"sed -i /{uuid_of(1)}/d {CDI}", "container_toolkit: CDI devices"),
        _change("boot unit disabled", f"systemctl disable {CDI_UNIT}", "container_toolkit: boot unit"),
        _change("one limit by hand", f"nvidia-smi -i {uuid_of(1)} -pl 350", _LIMITS_IN_FORCE),
    ),
    (
        _change("initramfs of before", "touch -d 2020-01-01 /boot/initrd.img-*", "nvidia_driver: initramfs"),
        _change("profile gone", f"rm {PROFILE}", "cuda: settings"),
        _change(
            "daemon told otherwise",
            f"echo Nice=5 >>{DROP_IN}",
            "nvidia_persistence: daemon settings",
            "nvidia_persistence: daemon",
            settles=(_PERSISTENCE, _LIMITS_IN_FORCE),
        ),
        _change("toolkit's key another", f"echo x >>{_TOOLKIT_KEY}", "container_toolkit: repository"),
        _change("CDI unit edited", f"echo '# mine' >>{CDI_UNIT_FILE}", "container_toolkit: boot unit file"),
        _change(
            "toolkit's own description left",
            f"install -D -m 644 {CDI} {OTHERS_CDI}",
            "container_toolkit: boot unit",
        ),
        _change("limit at boot edited", f"sed -i 's/-pl 280/-pl 350/' {POWER.path}", "gpu_power: boot unit"),
    ),
    (
        _change(
            "nouveau's options edited",
            f"sed -i '/^options/d' {NO_NOUVEAU}; touch -d 2020-01-01 {NO_NOUVEAU}",
            "nvidia_driver: modules at boot",
            "nvidia_driver: initramfs",
        ),
        _change("daemon not asked for", f"rm {WANTED}", "nvidia_persistence: daemon settings"),
        _change(
            "toolkit purged", "apt-get -qq purge nvidia-container-toolkit-base", "container_toolkit: packages"
        ),
        _change("toolkit's own unit let in", f"systemctl unmask {OTHERS[0]}", "container_toolkit: boot unit"),
        _change("limits not set at boot", f"systemctl disable {POWER.name}", "gpu_power: boot unit"),
    ),
    (
        _change(
            "libraries of another branch",
            f"{_INSTALL} libcuda1={gpu_layers.OTHER_VERSION}-1",
            "nvidia_driver: packages",
        ),
        _change(
            "module of another branch",
            f"{_INSTALL} nvidia-kernel-dkms={gpu_layers.OTHER_VERSION}-1",
            "nvidia_driver: kernel module packages",
        ),
        _change(
            "limits not set again after sleep",
            f"systemctl disable {POWER.resume_name}",
            "gpu_power: boot unit",
        ),
    ),
    (
        _change(
            "another module loaded",
            f"sed -i s/{stand_in_driver.VERSION}/{gpu_layers.OTHER_VERSION}/ /proc/driver/nvidia/version",
            "nvidia_driver: loaded module",
        ),
        _change("rules gone", f"rm {POWER.rules_path}", "gpu_power: boot unit"),
    ),
)


def _tier(changes: tuple[Change, ...]) -> tuple[pytest.MarkDecorator, ...]:
    """Modules of two branches are built in one round, which takes longer than all others."""
    builds = any(each.name == "module of another branch" for each in changes)
    return (pytest.mark.nightly,) if builds else ()


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuBox]:
    host = throwaway_hosts.boot("drifting", layer=gpu_layers.driven(throwaway_hosts))
    host.wait_running()  # or the boot itself would correct what is changed
    yield gpu_layers.box_on(host, tmp_path_factory.mktemp("drifting"))
    throwaway_hosts.destroy(host)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=", ".join(each.name for each in changes), marks=_tier(changes))
        for changes in _ROUNDS
    ],
)
def test_check_names_exactly_what_the_deploy_then_corrects(box: GpuBox, changes: tuple[Change, ...]) -> None:
    name = box.host.name
    expected = [operation for change in changes for operation in change.operations]
    assert len(expected) == len(set(expected)), "two changes of one operation in a round"
    for change in changes:
        box.root(change.command)
    check = box.labctl("check")
    assert check.exit_code == 3, check.stdout
    assert check.pending(name, "certain") == dict.fromkeys(expected, "drift")
    deploy = box.labctl("deploy")
    assert deploy.exit_code == 0, deploy.stdout
    settled = {operation for change in changes for operation in change.settles}
    assert set(expected) - settled <= deploy.changed(name) <= {*expected, *settled}
    assert box.root(LIMITS) == LIMITED


def test_limits_outlive_a_restart_of_the_daemon(box: GpuBox) -> None:
    """As an update of its package restarts it: without it the cards forget them."""
    for restart in (f"systemctl restart {DAEMON}", f"systemctl stop {DAEMON}; systemctl start {DAEMON}"):
        box.root(restart)
        box.root(f"systemctl start {POWER.name}")  # waits for what the daemon asked for
        assert box.root(LIMITS) == LIMITED
        assert box.root(f"systemctl is-active {DAEMON} {POWER.name}") == "active\nactive"


def test_it_is_all_as_it_was(box: GpuBox) -> None:
    check = box.labctl("check")
    assert check.exit_code == 0, check.stdout
    verify = box.labctl("verify")
    assert verify.exit_code == 0, verify.stdout
