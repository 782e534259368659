"""Persistence mode: the driver keeps the cards, and with them their limits, while no program uses them."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.resource import Resource
from labctl.rig.host_report import HANGS, MOST_HANGING, NVIDIA_SMI
from roles.nvidia_driver.answering import of_each
from roles.nvidia_driver.decided import not_here
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_driver.module import OnceLoaded
from roles.nvidia_driver.settings import DEFAULTS, NvidiaDriverSettings
from roles.nvidia_persistence.settings import NvidiaPersistenceSettings

UNIT = "nvidia-persistenced.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/50-labctl.conf"
MODES = of_each("persistence_mode")
PROGRAM = "/usr/local/lib/labctl/persistence-mode"
# What sets limits and clocks, by patterns: systemctl passes over one that nothing loaded has, without a word.
SET_AGAIN = ("labctl-gpu-power*.service", "labctl-gpu-tuning*.service")
WANTED = "/etc/systemd/system/multi-user.target.d/50-labctl-persistenced.conf"
# Until the driver is loaded nobody can say: a deploy that may not reboot the host must end, too.
_LOADED = "[ -e /proc/driver/nvidia/version ]"
_RUNNING = (
    f'if ! {_LOADED}; then echo active; elif [ "$(systemctl show -p NeedDaemonReload --value {UNIT})" = no ]; '
    f"then systemctl is-active {UNIT}; fi"
)
_ASSERTED = f"{_LOADED} || {{ echo Enabled; exit; }}; {MODES}"


def script() -> str:
    """The program that sets it."""
    return render(__file__, "persistence-mode", nvidia_smi=NVIDIA_SMI, hangs=HANGS, most_hanging=MOST_HANGING)


@role("nvidia_persistence", NvidiaPersistenceSettings, nvidia_driver)
def nvidia_persistence(
    settings: NvidiaPersistenceSettings,
    facts: HostFacts,
    driver: NvidiaDriverSettings = DEFAULTS,
) -> Iterator[Resource]:
    """The daemon, told to; then every card's own word. An active daemon alone proves nothing: Ubuntu's does not ask."""
    if not settings.manage or not_here(driver, facts):
        return
    program = File(PROGRAM, script(), mode="755")
    drop_in = File(DROP_IN, render(__file__, "persistenced.conf", program=PROGRAM, again=SET_AGAIN))
    yield Files(
        "daemon settings", (program, drop_in, File(WANTED, render(__file__, "wanted.conf", unit=UNIT)))
    )
    yield OnceLoaded(
        "daemon",
        probe=_RUNNING,
        wanted="active",
        problem=f"{UNIT} is not running, or not as it should be",
        apply="systemctl daemon-reload\n"
        f"systemctl reset-failed {UNIT} 2>/dev/null || true\n"
        f"systemctl restart {UNIT} || {{ journalctl -q -n 5 -o cat -u {UNIT} >&2; exit 1; }}",
    )
    yield OnceLoaded(
        "persistence mode",
        probe=_ASSERTED,
        wanted="Enabled",
        apply=f"{PROGRAM} >/dev/null || true\n"
        f'modes=$({MODES}); [ "$modes" = Enabled ] || '
        '{ echo "labctl: persistence mode is ${modes:-unknown} although it was set" >&2; exit 1; }',
    )
