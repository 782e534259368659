"""What the roles ask for, on every kind of host they support."""

import pytest

from labctl.errors import Failed
from labctl.hoststate.files import Files
from labctl.hoststate.packages import Packages
from labctl.hoststate.resource import Resource
from labctl.hoststate.survey import union
from labctl.settings import (
    BaseData,
    ContainerToolkitData,
    CudaData,
    FirewallData,
    GpuPowerData,
    GpuTuningData,
    MonitoringData,
    NvidiaDriverData,
    NvidiaPersistenceData,
    PodmanData,
)
from roles.base.deploy import base
from roles.base.settings import BaseSettings
from roles.container_toolkit.deploy import container_toolkit
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.cuda.deploy import cuda
from roles.cuda.settings import CudaSettings
from roles.firewall.deploy import firewall
from roles.firewall.settings import FirewallSettings
from roles.gpu_power.deploy import gpu_power
from roles.gpu_power.settings import GpuPowerSettings
from roles.gpu_tuning.deploy import gpu_tuning
from roles.gpu_tuning.settings import GpuTuningSettings
from roles.monitoring.deploy import monitoring
from roles.monitoring.settings import MonitoringSettings
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_driver.settings import NvidiaDriverSettings
from roles.nvidia_persistence.deploy import nvidia_persistence
from roles.nvidia_persistence.settings import NvidiaPersistenceSettings
from roles.podman.deploy import podman
from roles.podman.settings import PodmanSettings
from tests.roles.gpu_host import TWO_3090
from tests.roles.host_facts import host_facts

_ROLES = (
    base,
    firewall,
    nvidia_driver,
    cuda,
    nvidia_persistence,
    container_toolkit,
    podman,
    monitoring,
    gpu_power,
    gpu_tuning,
)
_HOSTS = [("debian 13", "trixie"), ("ubuntu 24.04", "noble"), ("ubuntu 26.04", "resolute")]


def _resources(
    os_release: str = "debian 13", codename: str = "trixie", container: str = "none"
) -> dict[str, list[Resource]]:
    facts = host_facts(os_release, codename, container)
    if (os_release, container) == ("debian 13", "none"):
        facts = TWO_3090
    return {one.role.name: list(one.role.resources(one.role.settings(), facts)) for one in _ROLES}


@pytest.mark.parametrize(("os_release", "codename"), _HOSTS)
def test_names_are_unique_in_a_role_and_wants_are_the_same_every_time(os_release: str, codename: str) -> None:
    first = _resources(os_release=os_release, codename=codename)
    again = _resources(os_release=os_release, codename=codename)
    for role, resources in first.items():
        names = [resource.name for resource in resources]
        assert len(names) == len(set(names))
        assert all(name == name.strip() and "|" not in name and ": " not in name for name in names)
        assert [r.digest() for r in resources] == [r.digest() for r in again[role]]


def test_a_path_belongs_to_one_operation() -> None:
    owned = [
        file.path
        for resources in _resources().values()
        for resource in resources
        if isinstance(resource, Files)
        for file in resource.files
    ]
    assert len(owned) == len(set(owned))


def test_configuration_comes_before_the_packages_that_read_it() -> None:
    for role in ("base", "podman"):
        kinds = [type(resource) for resource in _resources()[role]]
        assert kinds.index(Files) < kinds.index(Packages)


def test_one_survey_asks_for_everything() -> None:
    probes = union(resource.probes() for resources in _resources().values() for resource in resources)
    assert {"podman", "nftables", "unattended-upgrades"} <= probes.packages
    assert "labctl-firewall.service" in probes.units


def test_no_two_questions_of_a_survey_have_one_name() -> None:
    """The answer to one would be taken for the other's, and both would be asked again and again."""
    asked: dict[str, set[str]] = {}
    for resources in _resources().values():
        for resource in resources:
            for name, script in resource.probes().snippets:
                asked.setdefault(name, set()).add(script)
    assert {name for name, scripts in asked.items() if len(scripts) > 1} == set()


def test_in_a_container_the_clock_and_the_kernel_are_left_alone() -> None:
    names = [resource.name for resource in _resources(container="systemd-nspawn")["base"]]
    assert "kernel settings" in names
    assert "kernel settings in force" not in names
    assert "time synchronisation" not in names


def test_a_time_daemon_the_host_has_is_kept() -> None:
    facts = host_facts(extra=("package chrony",))
    resources = list(base.role.resources(BaseSettings(), facts))
    assert "time synchronisation" not in [resource.name for resource in resources]
    assert not any("systemd-timesyncd" in r.present for r in resources if isinstance(r, Packages))


@pytest.mark.parametrize("rival", ["ufw", "firewalld"])
def test_a_second_firewall_is_refused_unless_ours_is_not_wanted(rival: str) -> None:
    facts = host_facts(extra=(f"running {rival}",))
    with pytest.raises(Failed, match=f"{rival} is running") as refused:
        list(firewall.role.resources(FirewallSettings(), facts))
    assert f"systemctl disable --now {rival}" in str(refused.value.hint)
    assert list(firewall.role.resources(FirewallSettings(manage=False), facts)) == []


def test_debian_12_is_refused_by_podman_with_the_way_out() -> None:
    with pytest.raises(Failed, match="no Quadlet") as refused:
        list(podman.role.resources(PodmanSettings(), host_facts("debian 12", "bookworm")))
    assert "--skip podman" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("typed", "settings"),
    [
        (BaseData, BaseSettings),
        (FirewallData, FirewallSettings),
        (PodmanData, PodmanSettings),
        (NvidiaDriverData, NvidiaDriverSettings),
        (CudaData, CudaSettings),
        (NvidiaPersistenceData, NvidiaPersistenceSettings),
        (ContainerToolkitData, ContainerToolkitSettings),
        (GpuPowerData, GpuPowerSettings),
        (GpuTuningData, GpuTuningSettings),
        (MonitoringData, MonitoringSettings),
    ],
)
def test_the_inventorys_types_know_every_setting(typed: type, settings: type[BaseSettings]) -> None:
    assert set(typed.__annotations__) == set(settings.model_fields)
