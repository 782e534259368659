"""Is the base system what the inventory asks for? Asked of the running system, not of the files that were written."""

from __future__ import annotations

import json
import re

from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, HostFacts, not_run_here, output_of
from labctl.hoststate import receipt
from roles.base.deploy import COMPONENTS, JOURNALD, PACKAGES, SYSCTLS
from roles.base.driver_and_kernel import (
    DRIVER_OWNERS,
    INSTALLED,
    KERNEL_OWNERS,
    driver_and_kernel,
    parse_installed,
)
from roles.base.settings import BaseSettings

_UNITS = (
    "systemd-journald",
    "apt-daily",
    "unattended-upgrades",
    "systemd-timesyncd",
    "systemd-sysctl",
    "labctl-",
)
_BYTES = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_JOURNAL_USAGE = "ec387f577b844b8fa948f33cad9a75e6"  # SD_MESSAGE_JOURNAL_USAGE of sd-messages.h


@explained(
    Explanation(
        "An installation on the host was cut off, and dpkg or apt is not done with it.",
        "`sudo dpkg --configure -a && sudo apt-get -f install` on the host, then `labctl deploy`.",
    ),
)
def test_package_database(host: Host) -> None:
    """dpkg and apt find nothing half-done"""
    audit = output_of(host, "dpkg --audit")
    assert not audit, f"dpkg --audit says: {audit.splitlines()[0]}"
    interrupted = output_of(host, "ls /var/lib/dpkg/updates")
    assert not interrupted, "dpkg was interrupted: /var/lib/dpkg/updates is not empty"
    broken = host.run("apt-get -qq check")
    assert broken.rc == 0, f"apt-get check says: {broken.stderr.strip()[:200]}"


@explained(
    Explanation(
        "Packages that the roles build on were removed, or no deploy has come that far yet.",
        "`labctl deploy --only base` installs them.",
    ),
)
def test_packages(host: Host, settings: BaseSettings, facts: HostFacts) -> None:
    """the packages asked for are installed"""
    names = (*PACKAGES, *settings.packages, *sorted(facts.time_daemons or {"systemd-timesyncd"}))
    installed = {package.name for package in parse_installed(output_of(host, INSTALLED))}
    missing = [name for name in names if name not in installed]
    assert not missing, f"not installed: {', '.join(missing)}"


@explained(
    Explanation(
        "No package lists were fetched yet, so apt knows nothing to install.",
        "`labctl deploy --only base` fetches them.",
        says="shows nothing",
    ),
    Explanation(
        "The sources of apt were changed, and it no longer finds part of what labctl installs.",
        "`labctl deploy --only base` puts the components back.",
    ),
)
def test_apt_components(host: Host, facts: HostFacts) -> None:
    """apt knows every component it needs"""
    release = re.compile(
        rf"^ +release .*\bo=(?:Debian|Ubuntu),.*\bn={re.escape(facts.codename)},.*\bc=([^,\s]+)", re.MULTILINE
    )
    found = set(release.findall(output_of(host, "apt-cache policy")))
    missing = [component for component in COMPONENTS[facts.os_id] if component not in found]
    assert not missing, (
        f"apt-cache policy shows {', '.join(sorted(found)) or 'nothing'}, not {', '.join(missing)}"
    )


@explained(
    Explanation(
        "The timer that fetches or installs updates was switched off.",
        "`labctl deploy --only base` switches it on.",
        says=r"\.timer is ",
    ),
    Explanation(
        "Another file in /etc/apt/apt.conf.d overrides what the inventory says of updates.",
        "`apt-config dump | grep -i unattended` shows what holds; remove that file, then `labctl deploy "
        "--only base`.",
    ),
)
def test_security_updates(host: Host, settings: BaseSettings) -> None:
    """security updates come as asked, and never a reboot"""
    dump = output_of(host, "apt-config dump")
    effective = dict(re.findall(r'^(\S+) "(.*)";$', dump, re.MULTILINE))
    enabled = "1" if settings.unattended_upgrades else "0"
    wanted = {
        "APT::Periodic::Update-Package-Lists": "1",
        "APT::Periodic::Unattended-Upgrade": enabled,
        "Unattended-Upgrade::Automatic-Reboot": "false",
    }
    for key, value in wanted.items():
        assert effective.get(key) == value, f"{key} is {effective.get(key)!r} for apt, not {value!r}"
    if settings.unattended_upgrades:
        origins = re.findall(
            r'^Unattended-Upgrade::(?:Origins-Pattern|Allowed-Origins):: "(.*)";$', dump, re.MULTILINE
        )
        assert any("security" in origin for origin in origins), (
            f"no security origin is allowed, only {origins}"
        )
        for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
            state = host.run("systemctl is-active %s", timer).stdout.strip()
            assert state == "active", f"{timer} is {state}, not active"


@explained(
    Explanation(
        "A kernel or driver package came past labctl, and an update at night could change it under the "
        "running driver.",
        "`labctl deploy --only base` holds it, too; `labctl update host` moves both together.",
    ),
)
def test_driver_and_kernel_held(host: Host) -> None:
    """driver and kernel are held back from updates"""
    packages = parse_installed(output_of(host, INSTALLED))
    must = driver_and_kernel(packages, output_of(host, KERNEL_OWNERS), output_of(host, DRIVER_OWNERS))
    if not must:
        not_run_here("neither a driver nor a kernel package is installed")
    dump = output_of(host, "apt-config dump Unattended-Upgrade::Package-Blacklist")
    patterns = re.findall(r'^Unattended-Upgrade::Package-Blacklist:: "(.*)";$', dump, re.MULTILINE)
    free = sorted(name for name in must if not any(re.match(pattern, name) for pattern in patterns))
    assert not free, f"not held back: {', '.join(free)}"


@explained(
    Explanation(
        "The log daemon still runs with the settings it was started with.",
        "`labctl deploy --only base` restarts it.",
        says="was started before|journald itself says",
    ),
    Explanation(
        "Another file overrides the limit of the log.",
        "`systemd-analyze cat-config systemd/journald.conf` shows which; remove it, then `labctl deploy "
        "--only base`.",
    ),
)
def test_journal_limit(host: Host, settings: BaseSettings) -> None:
    """the running journald keeps to its limit"""
    limit = int(settings.journald_max_use[:-1]) * _BYTES[settings.journald_max_use[-1]]
    config = output_of(host, "systemd-analyze cat-config systemd/journald.conf")
    effective = re.findall(r"^SystemMaxUse=(.*)$", config, re.MULTILINE)[-1:]
    assert effective == [settings.journald_max_use], (
        f"SystemMaxUse is {effective or 'not set'} for systemd, not {settings.journald_max_use}"
    )
    started, changed = output_of(
        host,
        "systemctl show -p ActiveEnterTimestamp --value --timestamp=unix systemd-journald; stat -c %%Z %s",
        JOURNALD,
    ).split()
    assert int(started[1:]) >= int(changed), "journald was started before its configuration was last changed"
    said = output_of(
        host,
        f"journalctl -q -o json -n 1 MESSAGE_ID={_JOURNAL_USAGE} JOURNAL_NAME='System Journal' "
        '_PID="$(systemctl show -p MainPID --value systemd-journald)"',
    )
    if said:  # what the daemon said at its start may have been rotated away since
        own = int(json.loads(said)["MAX_USE"])
        assert own == limit, f"journald itself says its limit is {own} bytes, not {limit}"


@explained(
    Explanation(
        "A new service gets less memory to lock, or fewer open files, than an inference server needs.",
        "`labctl deploy --only base` sets them; if that changes nothing, a file in "
        "/etc/systemd/system.conf.d overrides labctl's: remove it.",
    ),
)
def test_service_limits(host: Host, facts: HostFacts) -> None:
    """a new service gets the limits inference needs"""
    _limits(
        "systemd-run --quiet --wait --pipe --collect sh -c 'ulimit -Hl; ulimit -Hn; ulimit -l; ulimit -n'",
        host,
        facts,
    )


@explained(
    Explanation(
        "A login gets less memory to lock, or fewer open files, than an inference server needs.",
        "`labctl deploy --only base` sets them; if that changes nothing, a file in "
        "/etc/security/limits.d overrides labctl's: remove it.",
    ),
)
def test_login_limits(host: Host, facts: HostFacts) -> None:
    """a login gets the limits inference needs"""
    _limits("su -s /bin/sh -c 'ulimit -Hl; ulimit -Hn; ulimit -l; ulimit -n' nobody", host, facts)


@explained(
    Explanation(
        "Another file sets the same kernel setting and is read after labctl's.",
        "`systemd-analyze cat-config sysctl.d` shows which; remove its line, then `labctl deploy --only "
        "base`.",
    ),
)
def test_kernel_settings_files(host: Host, settings: BaseSettings) -> None:
    """the next boot makes the kernel settings asked for"""
    config = output_of(host, "systemd-analyze cat-config sysctl.d")
    assigned = re.findall(r"^-?([A-Za-z0-9_./-]+?)\s*=\s*(.*?)\s*$", config, re.MULTILINE)
    effective = {key.replace("/", "."): value for key, value in assigned}
    for key, value in {**SYSCTLS, **settings.sysctls}.items():
        assert effective.get(key) == str(value), f"{key} = {effective.get(key)} at the next boot, not {value}"


@explained(
    Explanation(
        "A kernel setting was changed since boot, by hand or by another program.",
        "`labctl deploy --only base` sets it again.",
    ),
)
def test_kernel_settings_live(host: Host, settings: BaseSettings, facts: HostFacts) -> None:
    """the kernel settings asked for are in force"""
    if facts.container:
        not_run_here(f"{facts.container}: these settings belong to the machine outside")
    for key, value in {**SYSCTLS, **settings.sysctls}.items():
        found = output_of(host, "sysctl -n %s", key)
        assert found == str(value), f"{key} = {found}, not {value}"


@explained(
    Explanation(
        "The host has reached no time server yet, so its clock may be wrong.",
        "Wait a minute after a boot; else `timedatectl timesync-status`, and let UDP port 123 out of "
        "your router.",
    ),
)
def test_time_synchronised(host: Host, facts: HostFacts) -> None:
    """the clock is synchronised"""
    if facts.container:
        not_run_here(f"{facts.container}: the clock belongs to the machine outside")
    found = output_of(host, "timedatectl show -p NTPSynchronized --value")
    assert found == "yes", (
        "no time daemon has synchronised the clock yet: `timedatectl timesync-status` says why"
    )


@explained(
    Explanation(
        "A service that labctl looks after ended with an error.",
        "`systemctl status` of the unit named here says why; `labctl deploy` starts it again.",
    ),
)
def test_no_failed_unit(host: Host) -> None:
    """no unit that labctl looks after has failed"""
    listed = output_of(host, "systemctl list-units --all --state=failed --plain --no-legend")
    failed = [line.split()[0] for line in listed.splitlines() if line.startswith(_UNITS)]
    if failed:
        each_of = " ".join("%s" for _ in failed)
        shown = output_of(host, f"systemctl show -p Id,Result,RuntimeMaxUSec -- {each_of}", *failed)
        failed = [each for each in failed if each not in _at_their_time(shown)]
    assert not failed, f"failed: {', '.join(failed)}; `systemctl status {failed[0]}` says why"


def _at_their_time(shown: str) -> set[str]:
    """Units that have a time of their own, which is over. systemd calls that failed; `roles.workloads` looks closer."""
    blocks = [dict(line.split("=", 1) for line in each.splitlines()) for each in shown.strip().split("\n\n")]
    return {
        each["Id"]
        for each in blocks
        if each.get("Result") == "timeout" and each.get("RuntimeMaxUSec", "infinity") != "infinity"
    }


@explained(
    Explanation(
        "The note that every deploy leaves on the host is missing, or others may read it.",
        "`labctl deploy` writes it anew.",
    ),
)
def test_receipt(host: Host) -> None:
    """the receipt is there, for root alone"""
    found = output_of(host, "stat -c '%%a %%U:%%G' %s", receipt.PATH)
    assert found == "600 root:root", f"{receipt.PATH} is {found}, not 600 root:root"
    assert receipt.parse(output_of(host, "cat %s", receipt.PATH)), f"{receipt.PATH} cannot be read"


def _limits(command: str, host: Host, facts: HostFacts) -> None:
    if facts.container:
        # A container without CAP_SYS_RESOURCE cannot raise what its first process was started with.
        limits = output_of(host, "cat /proc/1/limits")
        hard = dict(re.findall(r"^Max (locked memory|open files) +\S+ +(\S+)", limits, re.MULTILINE))
        if hard["locked memory"] != "unlimited" or int(hard["open files"]) < 1048576:
            allowed = f"{hard['locked memory']} bytes of locked memory and {hard['open files']} open files"
            not_run_here(f"{facts.container}: the machine outside allows no more than {allowed}")
    found = output_of(host, command).split()
    assert found == ["unlimited", "1048576"] * 2, (
        f"locked memory and open files are {', '.join(found)} (hard, then soft), not unlimited and 1048576"
    )
