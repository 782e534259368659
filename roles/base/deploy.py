"""The base system: apt components, time, security updates at night, bounded logs, limits that inference needs."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.hoststate.apt_sources import AptSources
from labctl.hoststate.condition import Condition
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.packages import PackageHealth, Packages
from labctl.hoststate.resource import Resource
from labctl.hoststate.sysctls import sysctls
from labctl.hoststate.units import Unit
from roles.base.held_packages import HELD_PACKAGES
from roles.base.settings import BaseSettings

# contrib and non-free(-firmware) carry the driver and its GSP firmware; Ubuntu keeps its driver in restricted and
# Podman in universe.
COMPONENTS = {
    "debian": ("main", "contrib", "non-free", "non-free-firmware"),
    "ubuntu": ("main", "restricted", "universe", "multiverse"),
}

PACKAGES = ("ca-certificates", "curl", "kmod", "pciutils", "procps", "python3", "unattended-upgrades")

SYSCTLS = {
    # Model weights are mapped files: with the default of 60 the kernel swaps services out to cache weights.
    "vm.swappiness": 10,
    # llama.cpp, vLLM and Python data loaders map many regions; 65530 is the kernel's default before 6.9.
    "vm.max_map_count": 1048576,
    # Home Assistant, Nextcloud and editors watch trees; the defaults (8192 and 128) run out on a busy host.
    "fs.inotify.max_user_watches": 524288,
    "fs.inotify.max_user_instances": 1024,
}

JOURNALD = "/etc/systemd/journald.conf.d/50-labctl.conf"
LIMITS = "/etc/systemd/system.conf.d/50-labctl.conf"
AUTO_UPGRADES = "/etc/apt/apt.conf.d/52labctl-unattended-upgrades"
HOLD_HOOK = "/etc/apt/apt.conf.d/53labctl-hold-driver-and-kernel"
HOLD_SCRIPT = "/usr/local/lib/labctl/hold-driver-and-kernel"
HOLD_LIST = "/etc/apt/apt.conf.d/54labctl-held"


@role("base", BaseSettings)
def base(settings: BaseSettings, facts: HostFacts) -> Iterator[Resource]:
    """Configuration is written before the packages that read it: what Debian starts on installation starts right."""
    yield PackageHealth()
    yield AptSources("apt components", facts.codename, COMPONENTS[facts.os_id])
    journald = File(JOURNALD, render(__file__, "journald.conf", max_use=settings.journald_max_use))
    yield Files("journal size limit", (journald,))
    yield Files(
        "limits for inference",
        (
            File(LIMITS, render(__file__, "system.conf")),
            File("/etc/security/limits.d/50-labctl.conf", render(__file__, "limits.conf")),
        ),
    )
    yield from sysctls(
        "kernel settings", "/etc/sysctl.d/60-labctl.conf", {**SYSCTLS, **settings.sysctls}, facts
    )
    hold = render(__file__, "hold-driver-and-kernel", held=HOLD_LIST, held_packages=HELD_PACKAGES)
    yield _security_updates(settings, hold)
    packages = _packages(settings, facts)
    yield Packages("packages", packages)
    yield Condition(
        "driver and kernel held back",
        # The script as it should be, not as the host has it: what is seen then does not depend on the file.
        probe=f"sh -s -- --check <<'END_OF_SCRIPT' && echo held\n{hold}END_OF_SCRIPT\n",
        wanted="held",
        problem="the list of held packages is not what is installed",
        settled_by=packages,  # dpkg's hook makes the list after every run
        apply=HOLD_SCRIPT,
    )
    yield Unit("journald", "systemd-journald.service", reads=(journald,), enabled=None)
    yield Condition(
        "limits in force",
        probe="for p in MEMLOCK NOFILE; do systemctl show -p DefaultLimit$p --value; done",
        wanted="infinity 1048576",
        apply="systemctl daemon-reexec",
        settled_by=packages,  # systemd's own packages re-execute it
    )
    if settings.unattended_upgrades:
        yield Unit("package list timer", "apt-daily.timer")
        yield Unit("security update timer", "apt-daily-upgrade.timer", package="unattended-upgrades")
    if not facts.container and not facts.time_daemons:
        # In a container the clock is the machine's: systemd-timesyncd refuses to start there.
        yield Unit("time synchronisation", "systemd-timesyncd.service", package="systemd-timesyncd")


def _packages(settings: BaseSettings, facts: HostFacts) -> tuple[str, ...]:
    # Another time daemon would be removed by apt to make room for systemd's: what the host has is left alone.
    time = () if facts.time_daemons else ("systemd-timesyncd",)
    return tuple(dict.fromkeys(PACKAGES + time + settings.packages))


def _security_updates(settings: BaseSettings, hold: str) -> Files:
    return Files(
        "security updates",
        (
            File(
                AUTO_UPGRADES, render(__file__, "unattended-upgrades", enabled=settings.unattended_upgrades)
            ),
            File(HOLD_SCRIPT, hold, mode="755"),
            File(HOLD_HOOK, render(__file__, "hold-hook", script=HOLD_SCRIPT)),
        ),
    )
