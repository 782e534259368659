"""The checks of the base role: each passes on what a good host said, and fails on each way a host can be wrong."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from labctl.edges.checks import NotRunHere
from labctl.hoststate.facts import HostFacts
from roles.base import checks
from roles.base.driver_and_kernel import Package, driver_and_kernel, parse_installed, parse_owners
from roles.base.settings import BaseSettings
from tests.roles.host_facts import host_facts
from tests.roles.recorded_host import Answer, recorded_host

_POLICY = "".join(
    f" 500 http://mirror.example/debian trixie/{component} amd64 Packages\n"
    f"     release v=13.7,o=Debian,a=stable,n=trixie,l=Debian,c={component},b=amd64\n"
    for component in ("main", "contrib", "non-free", "non-free-firmware")
)
_APT_CONFIG = """APT::Periodic "";
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";
Unattended-Upgrade::Automatic-Reboot "false";
"""
_NAMES = [
    "ca-certificates",
    "curl",
    "kmod",
    "pciutils",
    "procps",
    "python3",
    "unattended-upgrades",
    "systemd-timesyncd",
]
_INSTALLED = "".join(f"installed\t{name}\t{name}\t\n" for name in _NAMES) + (
    "installed\tlinux-signed-amd64\tlinux-image-6.12.107+deb13-amd64\tkmod, linux-base (>= 4.12)\n"
    "installed\tlinux-signed-amd64\tlinux-image-amd64\tlinux-image-6.12.107+deb13-amd64 (= 6.12.107-1)\n"
    "installed\tnvidia-graphics-drivers\tlibcuda1\tlibc6 (>= 2.36)\n"
    "installed\tnvidia-graphics-drivers\tnvidia-alternative\tglx-alternative-nvidia\n"
    "config-files\tnvidia-graphics-drivers\tnvidia-smi\t\n"
    "installed\tlinux\tlinux-libc-dev\t\n"
)
_HELD = "".join(
    f'Unattended-Upgrade::Package-Blacklist:: "^{name}$";\n'
    for name in (
        r"linux-image-6\.12\.107\+deb13-amd64",
        "linux-image-amd64",
        "libcuda1",
        "nvidia-alternative",
    )
)
_JOURNALD = "# /etc/systemd/journald.conf\n[Journal]\n#SystemMaxUse=\n\n[Journal]\nSystemMaxUse=1G\n"
_FAILED = (
    "labctl-a.service loaded failed failed a, placed by labctl\n"
    "labctl-b.service loaded failed failed b, placed by labctl\n"
)
_ENDED = "Id={}.service\nResult={}\nRuntimeMaxUSec={}\n"
_HAD_ITS_TIME = _ENDED.format("labctl-a", "timeout", "6h") + "\n"
_SYSCTLS = """# /usr/lib/sysctl.d/50-default.conf
-net.ipv4.conf.*.rp_filter = 2
# /etc/sysctl.d/60-labctl.conf
fs.inotify.max_user_instances = 1024
fs.inotify.max_user_watches = 524288
vm.max_map_count = 1048576
vm.swappiness = 10
"""
_LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max open files            1048576              1048576              files
Max locked memory         unlimited            unlimited            bytes
"""
_RECEIPT = '{"schema_version": 1, "labctl_version": "0.1.0", "salt": "00", "wanted": {}}'

GOOD: dict[str, Answer] = {
    "dpkg --audit": "",
    "ls /var/lib/dpkg/updates": "",
    "apt-get -qq check": "",
    "dpkg-query -W": _INSTALLED,
    "apt-cache policy": _POLICY,
    "apt-config dump": _APT_CONFIG,
    "apt-config dump Unattended-Upgrade::Package-Blacklist": _HELD,
    "systemctl is-active": "active\n",
    "dpkg -S '/boot/": "linux-image-6.12.107+deb13-amd64: /boot/vmlinuz-6.12.107+deb13-amd64\n",
    "dpkg -S '*/libcuda": "libcuda1:amd64: /usr/lib/x86_64-linux-gnu/libcuda.so.1\n",
    "cat-config systemd/journald.conf": _JOURNALD,
    "systemctl show -p ActiveEnterTimestamp": "@200\n100\n",
    "journalctl -q -o json": '{"MAX_USE": "1073741824"}\n',
    "systemd-run": "unlimited\n1048576\nunlimited\n1048576\n",
    "su -s": "unlimited\n1048576\nunlimited\n1048576\n",
    "cat /proc/1/limits": _LIMITS,
    "cat-config sysctl.d": _SYSCTLS,
    "sysctl -n vm.swappiness": "10",
    "sysctl -n vm.max_map_count": "1048576",
    "sysctl -n fs.inotify.max_user_watches": "524288",
    "sysctl -n fs.inotify.max_user_instances": "1024",
    "timedatectl": "yes\n",
    "systemctl list-units": "cups.service loaded failed failed CUPS Scheduler\n",
    "stat -c '%a %U:%G'": "600 root:root\n",
    "cat /var/lib/labctl/receipt.json": _RECEIPT,
}
CHECKS = [value for name, value in vars(checks).items() if name.startswith("test_")]


def run(
    check: Callable[..., None],
    answers: Mapping[str, Answer],
    settings: BaseSettings | None = None,
    facts: HostFacts | None = None,
) -> None:
    fixtures: dict[str, Any] = {
        "host": recorded_host({**GOOD, **answers}),
        "settings": settings or BaseSettings(),
        "facts": facts or host_facts(),
    }
    check(**{name: fixtures[name] for name in inspect.signature(check).parameters})


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_host_passes(check: Callable[..., None]) -> None:
    run(check, {})


@pytest.mark.parametrize(
    ("check", "answers", "message"),
    [
        (checks.test_package_database, {"dpkg --audit": "The following packages are only half"}, "only half"),
        (checks.test_package_database, {"ls /var/lib/dpkg/updates": "0001"}, "interrupted"),
        (checks.test_package_database, {"apt-get -qq check": (100, "", "E: Unmet dependencies")}, "Unmet"),
        (checks.test_packages, {"dpkg-query -W": _INSTALLED.replace("\tcurl\t\n", "\tcurls\t\n")}, "curl"),
        (
            checks.test_packages,
            {"dpkg-query -W": _INSTALLED.replace("installed\tcurl", "half-installed\tcurl")},
            "not installed: curl",
        ),
        (
            checks.test_apt_components,
            {"apt-cache policy": _POLICY.replace("c=non-free,", "c=main,")},
            "non-free",
        ),
        (checks.test_apt_components, {"apt-cache policy": _POLICY.replace("n=trixie", "n=sid")}, "nothing"),
        (
            checks.test_apt_components,
            {"apt-cache policy": _POLICY.replace("o=Debian", "o=Vendor")},
            "nothing",
        ),
        (
            checks.test_security_updates,
            {"apt-config dump": _APT_CONFIG + 'APT::Periodic::Unattended-Upgrade "0";\n'},
            "APT::Periodic::Unattended-Upgrade is '0'",
        ),
        (
            checks.test_security_updates,
            {"apt-config dump": _APT_CONFIG.replace('Reboot "false"', 'Reboot "true"')},
            "Automatic-Reboot is 'true'",
        ),
        (
            checks.test_security_updates,
            {"apt-config dump": _APT_CONFIG.replace("ecurity", "tuff")},
            "no security origin",
        ),
        (
            checks.test_security_updates,
            {"systemctl is-active apt-daily-upgrade.timer": (3, "inactive\n", "")},
            "apt-daily-upgrade.timer is inactive",
        ),
        (
            checks.test_driver_and_kernel_held,
            {"apt-config dump Unattended-Upgrade::Package-Blacklist": _HELD.replace("libcuda1", "libcuda2")},
            "not held back: libcuda1",
        ),
        (
            checks.test_driver_and_kernel_held,
            {"apt-config dump Unattended-Upgrade::Package-Blacklist": _HELD.replace("nvidia-al", "nvidia-")},
            "not held back: nvidia-alternative",
        ),
        (
            checks.test_driver_and_kernel_held,
            {"apt-config dump Unattended-Upgrade::Package-Blacklist": _HELD.replace(r"\+deb13", "+deb13")},
            r"not held back: linux-image-6\.12\.107\+deb13-amd64",
        ),
        (
            checks.test_journal_limit,
            {"cat-config systemd/journald.conf": _JOURNALD + "SystemMaxUse=4G\n"},
            r"SystemMaxUse is \['4G'\]",
        ),
        (checks.test_journal_limit, {"cat-config systemd/journald.conf": "[Journal]\n"}, "not set"),
        (
            checks.test_journal_limit,
            {"systemctl show -p ActiveEnterTimestamp": "@99\n100\n"},
            "before its conf",
        ),
        (
            checks.test_journal_limit,
            {"journalctl -q -o json": '{"MAX_USE": "4294967296"}'},
            "limit is 4294967296",
        ),
        (checks.test_service_limits, {"systemd-run": "unlimited\n1048576\n8192\n1048576\n"}, "8192"),
        (checks.test_login_limits, {"su -s": "unlimited\n1048576\nunlimited\n1024\n"}, "1024"),
        (
            checks.test_kernel_settings_files,
            {"cat-config sysctl.d": _SYSCTLS + "# /etc/sysctl.d/99-mine.conf\nvm/swappiness=60\n"},
            "vm.swappiness = 60",
        ),
        (checks.test_kernel_settings_live, {"sysctl -n vm.swappiness": "60"}, "vm.swappiness = 60, not 10"),
        (checks.test_time_synchronised, {"timedatectl": "no\n"}, "no time daemon"),
        (
            checks.test_no_failed_unit,
            {
                "systemctl list-units": "labctl-firewall.service loaded failed failed labctl\n",
                "systemctl show -p Id,Result": _ENDED.format("labctl-firewall", "exit-code", "infinity"),
            },
            "failed: labctl-firewall.service",
        ),
        (
            checks.test_no_failed_unit,
            {
                "systemctl list-units": _FAILED,
                "systemctl show -p Id,Result": _HAD_ITS_TIME + _ENDED.format("labctl-b", "exit-code", "6h"),
            },
            "failed: labctl-b.service;",
        ),
        (
            checks.test_no_failed_unit,
            {
                "systemctl list-units": _FAILED,
                "systemctl show -p Id,Result": _HAD_ITS_TIME
                + _ENDED.format("labctl-b", "timeout", "infinity"),
            },
            "failed: labctl-b.service;",
        ),
        (checks.test_receipt, {"stat -c '%a %U:%G'": "644 root:root\n"}, "644 root:root"),
        (checks.test_receipt, {"stat -c '%a %U:%G'": (1, "", "stat: cannot statx")}, "cannot statx"),
        (checks.test_receipt, {"cat /var/lib/labctl/receipt.json": "{"}, "cannot be read"),
    ],
)
def test_a_wrong_host_fails(check: Callable[..., None], answers: dict[str, Answer], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, answers)


def test_what_had_its_time_has_not_failed() -> None:
    listed = _FAILED.splitlines()[0]
    run(
        checks.test_no_failed_unit,
        {"systemctl list-units": listed, "systemctl show -p Id,Result": _HAD_ITS_TIME},
    )


def test_every_check_was_seen_failing() -> None:
    (wrong,) = (mark for mark in test_a_wrong_host_fails.pytestmark if mark.name == "parametrize")
    assert {case[0] for case in wrong.args[1]} == set(CHECKS)


@pytest.mark.parametrize(
    "check", [checks.test_kernel_settings_live, checks.test_time_synchronised, checks.test_service_limits]
)
def test_what_means_nothing_in_a_container_is_not_run_there(check: Callable[..., None]) -> None:
    outside = _LIMITS.replace("unlimited", "8388608").replace("1048576", "20000")
    with pytest.raises(NotRunHere, match=r"^systemd-nspawn: .* outside"):
        run(check, {"cat /proc/1/limits": outside}, facts=host_facts(container="systemd-nspawn"))


def test_limits_are_checked_in_a_container_that_may_have_them() -> None:
    with pytest.raises(AssertionError, match="8192"):
        run(
            checks.test_service_limits,
            {"systemd-run": "8192\n1024\n8192\n1024\n"},
            facts=host_facts(container="systemd-nspawn"),
        )


def test_a_host_without_driver_and_kernel_has_nothing_to_hold() -> None:
    with pytest.raises(NotRunHere, match="neither a driver nor a kernel"):
        run(checks.test_driver_and_kernel_held, {"dpkg -S '/boot/": "", "dpkg -S '*/libcuda": ""})


def test_the_inventory_is_what_counts() -> None:
    settings = BaseSettings(
        packages=("htop",), journald_max_use="4G", unattended_upgrades=False, sysctls={"vm.swappiness": 60}
    )
    for check, message in (
        (checks.test_packages, "not installed: htop"),
        (checks.test_journal_limit, "not 4G"),
        (checks.test_security_updates, "is '1' for apt, not '0'"),
        (checks.test_kernel_settings_live, "vm.swappiness = 10, not 60"),
    ):
        with pytest.raises(AssertionError, match=message):
            run(check, {}, settings)


def test_another_time_daemon_is_as_good() -> None:
    without = _INSTALLED.replace("installed\tsystemd-timesyncd", "config-files\tsystemd-timesyncd")
    chrony = without + "installed\tchrony\tchrony\t\n"
    run(checks.test_packages, {"dpkg-query -W": chrony}, facts=host_facts(extra=("package chrony",)))


def test_the_kernels_metapackages_belong_to_it() -> None:
    installed = (
        Package("linux-image-6.8.0-41-generic", "linux-signed", "kmod"),
        Package("linux-image-generic", "linux-meta", "linux-image-6.8.0-41-generic, linux-firmware"),
        Package("linux-generic", "linux-meta", "linux-image-generic (= 6.8.0.41.1), linux-headers-generic"),
        Package("linux-libc-dev", "linux", ""),
        Package("dkms", "dkms", "linux-image-generic | linux-image"),
    )
    owners = "linux-image-6.8.0-41-generic: /boot/vmlinuz-6.8.0-41-generic\n"
    assert driver_and_kernel(installed, owners, "") == {
        "linux-image-6.8.0-41-generic",
        "linux-image-generic",
        "linux-generic",
    }


def test_owners_are_read_from_dpkg() -> None:
    output = (
        "diversion by glx-diversions from: /usr/lib/libGL.so.1\n"
        "libcuda1:i386, libcuda1:amd64: /usr/lib/nvidia\n"
        "nvidia-smi: /usr/bin/nvidia-smi\n"
    )
    assert parse_owners(output) == {"libcuda1", "nvidia-smi"}


def test_packages_that_are_only_configured_are_not_installed() -> None:
    assert [package.name for package in parse_installed("installed\ta\tb\t\nconfig-files\ta\tc\t\n")] == ["b"]
