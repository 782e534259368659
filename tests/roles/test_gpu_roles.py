"""What the roles about NVIDIA's cards ask for: of a host with cards, and of one without."""

from dataclasses import replace
from fnmatch import fnmatch

import pytest

from labctl.errors import Failed
from labctl.hoststate.condition import Condition
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import Files
from labctl.hoststate.observation import Observations, PackageSeen
from labctl.hoststate.resource import Pending, Resource
from labctl.hoststate.signed_repository import SignedRepository
from roles.container_toolkit.deploy import container_toolkit
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.cuda.deploy import PROFILE, cuda
from roles.cuda.settings import CudaSettings
from roles.gpu_power.host_limits import POWER
from roles.gpu_tuning.host_clocks import TUNING
from roles.nvidia_driver.deploy import NO_NOUVEAU, PINS, nvidia_driver
from roles.nvidia_driver.module import LoadedModule
from roles.nvidia_driver.packages import DriverPackages
from roles.nvidia_driver.settings import NvidiaDriverSettings
from roles.nvidia_persistence.deploy import DROP_IN, SET_AGAIN, nvidia_persistence
from roles.nvidia_persistence.settings import NvidiaPersistenceSettings
from tests.roles.gpu_host import EVERYTHING_WRONG, SIGNED, TWO_3090, gpu_facts
from tests.roles.host_facts import host_facts

ROLES = (nvidia_driver, cuda, nvidia_persistence, container_toolkit)
DISTRIBUTION = NvidiaDriverSettings(source="distribution")
KERNEL = "6.12.107+deb13-amd64"


def driver(facts: HostFacts = TWO_3090, settings: NvidiaDriverSettings = DISTRIBUTION) -> dict[str, Resource]:
    return {each.name: each for each in nvidia_driver.role.resources(settings, facts)}


def test_a_package_that_dpkg_has_not_finished_is_no_strangers_driver() -> None:
    """Its module is loaded, and on disk: `base` finishes the package, and the deploy goes on."""
    report = TWO_3090.driver_report.replace(
        "@@labctl packages\n",
        "@@labctl packages\ninstall|half-configured|nvidia-kernel-dkms|550.163.01-2|Debian NVIDIA|non-free/kernel\n",
    ).replace(
        "@@labctl loaded\n",
        "@@labctl loaded\nNVRM version: NVIDIA UNIX x86_64 Kernel Module  550.163.01  Tue Apr  8 12:41:17 UTC 2025\n",
    )
    built = report.replace(f"{KERNEL}|yes|yes||", f"{KERNEL}|yes|yes|550.163.01|NVIDIA")
    assert built != report
    assert "kernel module packages" in driver(replace(TWO_3090, driver_report=built))


def test_packages_may_bring_an_initramfs_about_that_knows_nothing_of_nouveau() -> None:
    resource = driver()["initramfs"]
    seen = Observations(texts={"condition initramfs": "current"})
    assert resource.compare(seen, Pending()) is None
    coming = resource.compare(seen, Pending(packages=frozenset({"nvidia-open-kernel-dkms"})))
    assert coming is None
    coming = resource.compare(seen, Pending(packages=frozenset({"nvidia-kernel-dkms"})))
    assert coming
    assert coming.certainty == "possible"


@pytest.mark.parametrize("one", ROLES, ids=lambda one: one.role.name)
def test_a_host_without_a_card_is_left_alone(one: object) -> None:
    assert list(one.role.resources(one.role.settings(), host_facts())) == []  # type: ignore[attr-defined]  # a RoleDeploy


@pytest.mark.parametrize("one", ROLES, ids=lambda one: one.role.name)
def test_an_old_mainboards_chips_are_no_card(one: object) -> None:
    chipset = replace(TWO_3090, driver_report=TWO_3090.driver_report.replace(" 0x030000 ", " 0x060000 "))
    assert chipset.driver_report != TWO_3090.driver_report
    assert list(one.role.resources(one.role.settings(), chipset)) == []  # type: ignore[attr-defined]  # a RoleDeploy


@pytest.mark.parametrize("one", ROLES, ids=lambda one: one.role.name)
def test_a_container_is_left_alone_unless_asked(one: object) -> None:
    inside = replace(TWO_3090, container="systemd-nspawn")
    assert list(one.role.resources(one.role.settings(), inside)) == []  # type: ignore[attr-defined]  # a RoleDeploy


def test_a_driver_that_is_not_ours_to_manage_is_left_alone() -> None:
    settings = NvidiaDriverSettings(manage=False)
    assert driver(EVERYTHING_WRONG, settings) == {}
    assert list(cuda.role.resources(CudaSettings(), EVERYTHING_WRONG, settings)) == []
    described = container_toolkit.role.resources(ContainerToolkitSettings(), TWO_3090, settings)
    assert "CDI devices" in [each.name for each in described]


def test_what_stands_in_the_way_is_refused_with_the_way_out() -> None:
    with pytest.raises(Failed, match=r"no driver for this host: .*labctl preflight") as refused:
        driver(EVERYTHING_WRONG, NvidiaDriverSettings())
    assert refused.value.hint
    with pytest.raises(Failed, match="no driver runs"):
        driver(gpu_facts("debian13-p40-and-5090"), NvidiaDriverSettings())


def test_a_flavour_that_is_asked_for_is_what_comes_or_is_refused() -> None:
    packages = driver(settings=NvidiaDriverSettings(source="distribution", flavour="open"))
    module = packages["kernel module packages"]
    assert isinstance(module, DriverPackages)
    assert module.present == ("nvidia-open-kernel-dkms",)
    assert "nvidia-kernel-dkms" in module.absent
    with pytest.raises(Failed, match="open kernel module for all"):
        driver(gpu_facts("debian13-p40"), NvidiaDriverSettings(flavour="open"))


def test_pins_come_before_the_repository_and_it_before_packages() -> None:
    names = list(driver(settings=NvidiaDriverSettings()))
    assert names.index("pins") < names.index("repository") < names.index("kernel module packages")
    assert names.index("module for the kernel that boots next") < names.index("modules at boot")
    assert names[-1] == "loaded module"


def test_the_distributions_driver_adds_no_repository() -> None:
    found = driver()
    assert not any(isinstance(each, SignedRepository) for each in found.values())
    pins = found["pins"]
    assert isinstance(pins, Files)
    assert pins.files[0].path == PINS
    assert "Pin-Priority: -1" in (pins.files[0].content or "")


def test_a_mirror_keeps_its_own_key() -> None:
    mirror = {
        "url": "https://mirror.home/cuda/",
        "key_url": "https://mirror.home/key",
        "fingerprint": "A" * 40,
    }
    found = driver(settings=NvidiaDriverSettings.model_validate({"repository": mirror}))["repository"]
    assert isinstance(found, SignedRepository)
    assert (found.url, found.fingerprint) == (mirror["url"], mirror["fingerprint"])


def test_a_signed_module_is_built_by_nobody() -> None:
    settings = NvidiaDriverSettings()
    module = driver(SIGNED, settings)["kernel module packages"]
    assert isinstance(module, DriverPackages)
    assert not module.builds
    assert module.headers == ()
    seen = Observations(packages=dict.fromkeys((*module.present, *module.absent)))
    assert "dkms build" not in module.action(seen).script


def test_nobody_is_rebooted_who_does_not_want_to_be() -> None:
    settings = NvidiaDriverSettings(source="distribution", reboot=False)
    assert "loaded module" not in driver(settings=settings)


def test_the_next_kernel_is_not_another_wish() -> None:
    """Or every new kernel would count as a change of the inventory."""
    other = replace(TWO_3090, driver_report=TWO_3090.driver_report.replace("6.12.107", "6.12.999"))
    assert other.driver_report != TWO_3090.driver_report
    for name, resource in driver(other).items():
        assert resource.digest() == driver()[name].digest(), name


MODULE = DriverPackages(
    "module", ("nvidia-kernel-dkms",), 550, KERNEL, builds=True, headers=("linux-headers-amd64",),
    absent=("nvidia-open-kernel-dkms",),
)  # fmt: skip


def packages(**versions: str | None) -> Observations:
    names = {name.replace("_", "-"): version for name, version in versions.items()}
    found = {name: PackageSeen("installed", version) if version else None for name, version in names.items()}
    missing: dict[str, PackageSeen | None] = dict.fromkeys(MODULE.probes().packages)
    return Observations(packages={**missing, **found})


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (packages(linux_headers_amd64="6.12", nvidia_kernel_dkms="550.163.01-2"), None),
        (packages(nvidia_kernel_dkms="550.163.01-2"), "not installed: linux-headers-amd64"),
        (
            packages(linux_headers_amd64="6.12", nvidia_kernel_dkms="580.95.05-1"),
            "not of 550: nvidia-kernel-dkms",
        ),
        (
            packages(
                linux_headers_amd64="6.12",
                nvidia_kernel_dkms="550.163.01-2",
                nvidia_open_kernel_dkms="550.163.01-2",
            ),
            "to be removed: nvidia-open-kernel-dkms",
        ),
    ],
)
def test_one_branch_of_one_driver(seen: Observations, reason: str | None) -> None:
    difference = MODULE.compare(seen, Pending())
    assert (difference.reason if difference else None) == reason


def test_debians_daemon_may_lag_behind_its_driver() -> None:
    rest = driver()["packages"]
    assert isinstance(rest, DriverPackages)
    there = {name: PackageSeen("installed", "550.163.01-2") for name in (*rest.present, *rest.modules)}
    seen = Observations(packages={**there, "nvidia-persistenced": PackageSeen("installed", "525.85.05-1")})
    assert rest.compare(seen, Pending()) is None
    seen = Observations(packages={**there, "nvidia-smi": PackageSeen("installed", "525.85.05-1")})
    assert rest.compare(seen, Pending())


def test_a_module_is_tried_first_where_another_one_boots() -> None:
    fresh = MODULE.action(packages()).script
    assert "labctl-trial" not in fresh
    instead = MODULE.action(packages(nvidia_open_kernel_dkms="550.163.01-2")).script
    assert instead.index("dkms build") < instead.index("if ! install")
    assert "nvidia-open-kernel-dkms-" in instead


LOADED = LoadedModule(KERNEL, ("nvidia-kernel-dkms",))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("installed 550.1 open\nloaded 550.1 open\n", None),
        ("installed\nloaded\n", None),
        ("installed 550.1 open\nloaded\n", "none is loaded, 550.1 open is installed"),
        (
            "installed 550.1 open\nloaded 550.1 proprietary\n",
            "550.1 proprietary is loaded, 550.1 open is installed",
        ),
        ("installed 550.2 open\nloaded 550.1 open\n", "550.1 open is loaded, 550.2 open is installed"),
    ],
)
def test_a_reboot_only_where_another_module_is_loaded(said: str, reason: str | None) -> None:
    difference = LOADED.compare(Observations(texts={"nvidia module": said}), Pending())
    assert (difference.reason if difference else None) == reason


def test_the_toolkit_follows_the_drivers_source() -> None:
    on_ubuntu = replace(
        SIGNED, driver_report=SIGNED.driver_report.replace("SecureBoot enabled", "SecureBoot disabled")
    )
    for source, package in (("distribution", "nvidia-cuda-toolkit"), ("nvidia", "cuda-toolkit-12-9")):
        settings = NvidiaDriverSettings.model_validate({"source": source})
        found = {each.name: each for each in cuda.role.resources(CudaSettings(), on_ubuntu, settings)}
        assert package in found["toolkit"].probes().packages
        pins = found["settings"]
        assert isinstance(pins, Files)
        assert package in (pins.files[0].content or "")
        assert "Pin: version 12.*" in (pins.files[0].content or "")


def test_a_profile_that_is_about_to_be_written_may_bring_the_compiler_back() -> None:
    found = {each.name: each for each in cuda.role.resources(CudaSettings(), TWO_3090, DISTRIBUTION)}
    seen = Observations(texts={"condition CUDA 12": ""})
    for pending, certainty in ((Pending(), "certain"), (Pending(paths=frozenset({PROFILE})), "possible")):
        difference = found["CUDA 12"].compare(seen, pending)
        assert difference
        assert difference.certainty == certainty


@pytest.mark.parametrize(
    ("said", "pending", "certainty"),
    [
        ("current", Pending(), None),
        ("", Pending(), "certain"),
        # What is about to be written over a file of an older date.
        ("current", Pending(paths=frozenset({NO_NOUVEAU})), "certain"),
        ("", Pending(packages=frozenset({"nvidia-kernel-dkms"})), "possible"),
        ("none", Pending(paths=frozenset({NO_NOUVEAU})), None),
    ],
)
def test_the_initramfs_is_made_anew_with_what_keeps_nouveau_off(
    said: str, pending: Pending, certainty: str | None
) -> None:
    seen = Observations(texts={"condition initramfs": said})
    difference = driver()["initramfs"].compare(seen, pending)
    assert (difference.certainty if difference else None) == certainty


def test_containers_only_asks_for_no_toolkit() -> None:
    assert list(cuda.role.resources(CudaSettings(toolkit=False), TWO_3090, DISTRIBUTION)) == []


def test_devices_are_described_by_uuid() -> None:
    found = {
        each.name: each
        for each in container_toolkit.role.resources(ContainerToolkitSettings(), TWO_3090, DISTRIBUTION)
    }
    unit = found["boot unit file"]
    assert isinstance(unit, Files)
    program, service = unit.files
    assert "--device-name-strategy=uuid" in (program.content or "")
    text = service.content or ""
    assert f"ExecStart={program.path} " in text
    creates = "nvidia-modprobe -u -c 0 || nvidia-ctk system create-device-nodes --control-devices"
    assert text.index(creates) < text.index("ExecStart=")
    assert "DeviceAllow=char-nvidia* rwm\n" in text
    assert "Before=labctl.target\n" in text
    assert isinstance(found["CDI devices"], Condition)


def test_the_daemon_asks_for_what_sets_limits_and_clocks_again() -> None:
    assert [name for name in (POWER.name, TUNING.name) if any(fnmatch(name, each) for each in SET_AGAIN)] == [
        POWER.name,
        TUNING.name,
    ]
    (settings,) = (
        each
        for each in nvidia_persistence.role.resources(NvidiaPersistenceSettings(), TWO_3090, DISTRIBUTION)
        if isinstance(each, Files)
    )
    text = next(file.content or "" for file in settings.files if file.path == DROP_IN)
    assert f"ExecStartPost=-/usr/bin/systemctl --no-block try-restart {' '.join(SET_AGAIN)}\n" in text


def test_what_only_a_driver_can_say_is_open_until_it_is_loaded() -> None:
    (persistence,) = (
        each
        for each in nvidia_persistence.role.resources(NvidiaPersistenceSettings(), TWO_3090, DISTRIBUTION)
        if each.name == "persistence mode"
    )
    seen = Observations(texts={"condition persistence mode": "Enabled\n"})
    assert persistence.compare(seen, Pending()) is None
    for pending in (
        Pending(other=frozenset({LOADED.name})),
        Pending(packages=frozenset({"nvidia-kernel-dkms"})),
    ):
        difference = persistence.compare(seen, pending)
        assert difference
        assert difference.certainty == "possible"


REPOSITORY = SignedRepository(
    "repository", "vendor", "https://vendor.example/deb/", "https://vendor.example/key", "A" * 40
)


def test_a_repository_is_as_wanted_only_as_long_as_nobody_touched_it() -> None:
    key = "repository vendor"
    assert REPOSITORY.compare(Observations(texts={key: "w 1\nw 1\n"}), Pending()) is None
    for said, reason in (
        ("never\nw 1\n", "not there yet"),
        ("w 1\nw 2\n", "differs"),
        ("v 1\nw 1\n", "differs"),
    ):
        difference = REPOSITORY.compare(Observations(texts={key: said}), Pending())
        assert difference
        assert reason in difference.reason


def test_a_key_is_held_against_its_fingerprint_before_anything_is_written() -> None:
    script = REPOSITORY.action(Observations()).script
    assert script.index("A" * 40) < script.index("/etc/apt/keyrings/labctl-vendor.gpg")
    assert "trusted" not in script
