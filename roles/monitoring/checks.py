"""Do the metrics come, of the host and of every card, fresh, and to nobody else? Asked of the exporter itself."""

from __future__ import annotations

import re

from labctl.doctor.cards import CARD_GONE, DRIVER_DOWN
from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, HostFacts, not_run_here, output_of
from labctl.rig.host_report import NVIDIA_SMI
from roles.monitoring.deploy import DROP_IN, PORT, UNIT
from roles.monitoring.gpu_metrics import LINK, PATHS, TIMER
from roles.monitoring.settings import MonitoringSettings
from roles.nvidia_driver.decided import no_card

_METRICS = f"curl -fsS --max-time 20 http://127.0.0.1:{PORT}/metrics"
_NODE = (
    "node_boot_time_seconds",
    "node_memory_MemTotal_bytes",
    "node_filesystem_avail_bytes",
    "node_cpu_seconds_total",
)
# A run that hangs is ended after 90 seconds; then it says that it knows nothing.
_SLOWEST_SECONDS = 120


@explained(
    Explanation(
        "Monitoring was switched off in the inventory, and something of it is still there.",
        "`labctl deploy --only monitoring` removes it.",
        says="monitoring is off",
    ),
    Explanation(
        "The exporter, or the timer that asks the cards, was stopped or switched off.",
        f"`labctl deploy --only monitoring` starts it; `sudo journalctl -n 20 -u {UNIT}` says why it stopped.",
    ),
)
def test_services(host: Host, settings: MonitoringSettings, facts: HostFacts) -> None:
    """what brings metrics runs and starts at boot, or nothing of it is there"""
    if not settings.enabled:
        left = output_of(host, f"ls -d {' '.join((DROP_IN, LINK, *PATHS))} 2>/dev/null; true").split()
        assert not left, f"monitoring is off, and {', '.join(left)} is there"
        return
    for unit in (UNIT, TIMER) if _no_cards(host, facts) is None else (UNIT,):
        enabled = host.run("systemctl is-enabled %s", unit).stdout.strip() or "not there"
        active = host.run("systemctl is-active %s", unit).stdout.strip()
        assert (enabled, active) == ("enabled", "active"), (
            f"{unit} is {enabled} and {active}, not enabled and active"
        )


@explained(
    Explanation(
        "The exporter is not running.",
        "`labctl deploy --only monitoring` starts it.",
        says="listens on nothing",
    ),
    Explanation(
        "The exporter listens elsewhere than the inventory says: its settings were changed by hand.",
        "`labctl deploy --only monitoring` writes them anew.",
    ),
)
def test_listens(host: Host, settings: MonitoringSettings) -> None:
    """the exporter listens on loopback alone, unless it is exposed"""
    _leave_out(settings)
    listening = output_of(host, "ss -H -lntp").splitlines()
    addresses = sorted(
        line.split()[3]
        for line in listening
        if "prometheus-node" in line or line.split()[3].endswith(f":{PORT}")
    )
    wanted = [[f"*:{PORT}"], [f"0.0.0.0:{PORT}"]] if settings.expose else [[f"127.0.0.1:{PORT}"]]
    assert addresses in wanted, f"it listens on {', '.join(addresses) or 'nothing'}, not on {wanted[0][0]}"


@explained(
    Explanation(
        "The exporter answers without the host's own numbers, or trips over a file of metrics.",
        f"`sudo journalctl -n 20 -u {UNIT}` names what it cannot read; then `labctl deploy`.",
    ),
)
def test_node_metrics(host: Host, settings: MonitoringSettings) -> None:
    """the exporter tells of the host"""
    _leave_out(settings)
    told = output_of(host, _METRICS)
    missing = [name for name in _NODE if not re.search(rf"^{name}\b", told, re.MULTILINE)]
    assert not missing, f"no {', '.join(missing)}"
    assert not re.search(r"^node_textfile_scrape_error [^0]", told, re.MULTILINE), (
        "a file with metrics cannot be read (node_textfile_scrape_error)"
    )


@explained(
    *DRIVER_DOWN,
    *CARD_GONE,
    Explanation(
        "The cards are no longer asked: what writes their numbers stopped.",
        f"`sudo systemctl status {TIMER}` says why; `labctl deploy --only monitoring` starts it again.",
        says="s old|not among what",
    ),
    Explanation(
        "A card does not answer, or came or went since it was last asked.",
        "`nvidia-smi -L` lists those that answer; look again in a minute, and at the missing card's cables.",
    ),
)
def test_gpu_metrics(host: Host, settings: MonitoringSettings, facts: HostFacts) -> None:
    """the exporter tells of every card, and of what is so now"""
    _leave_out(settings)
    if reason := _no_cards(host, facts):
        not_run_here(reason)
    told = output_of(host, _METRICS)
    assert re.search(r"^labctl_gpu_up 1$", told, re.MULTILINE), (
        "labctl_gpu_up is not 1: a card does not answer, or nvidia-smi does not"
    )
    listed = set(re.findall(r"GPU-[0-9a-f-]+", output_of(host, f"{NVIDIA_SMI} -L")))
    for name in ("info", "temperature_celsius"):
        found = set(re.findall(rf'^labctl_gpu_{name}{{[^}}]*uuid="([^"]+)"', told, re.MULTILINE))
        assert found == listed, (
            f"labctl_gpu_{name} tells of {', '.join(sorted(found)) or 'no card'},"
            f" nvidia-smi lists {', '.join(sorted(listed))}"
        )
    written = re.search(rf'^node_textfile_mtime_seconds{{file="{LINK}"}} (\S+)$', told, re.MULTILINE)
    assert written, f"{LINK} is not among what the exporter reads"
    age = int(output_of(host, "date +%s")) - float(written[1])
    assert age <= settings.every_seconds + _SLOWEST_SECONDS, (
        f"the cards' metrics are {age:.0f} s old, with {settings.every_seconds} s between two looks"
    )


def _leave_out(settings: MonitoringSettings) -> None:
    if not settings.enabled:
        not_run_here("monitoring.enabled is False")


def _no_cards(host: Host, facts: HostFacts) -> str | None:
    """Why nothing is told of cards; None where it is. As the role decides it, but for what only its settings say."""
    if reason := no_card(facts):
        return reason
    if facts.container and host.run("test -e /proc/driver/nvidia/version").rc != 0:
        return f"{facts.container}: the driver belongs to the machine outside"
    return None
