"""Metrics for Prometheus, where the inventory asks for them: the host's, and its cards'. Off by default.

The host's are the node exporter's, from the distribution's package. It listens on loopback alone unless `expose` is
set; then `firewall.exposed` says who may come.

The cards' come through the same exporter: a timer asks nvidia-smi and writes a file that it reads (metrics.py has the
names). Rejected: NVIDIA's dcgm-exporter, which is a container image with DCGM in it and does little for GeForce cards;
nvidia_gpu_exporter, of which no distribution has a package, so that somebody would have to follow its releases; a
program of our own that listens, which is one more thing to keep safe. No Prometheus comes along: who collects, how long
and where, is not this role's to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.errors import BadInput
from labctl.hoststate.condition import Condition
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.host_unit import APT_GET, as_host_unit
from labctl.hoststate.packages import Packages
from labctl.hoststate.resource import Resource
from labctl.hoststate.units import Unit
from roles.firewall.deploy import firewall
from roles.firewall.settings import FirewallSettings
from roles.monitoring.gpu_metrics import gpu_metrics, no_gpu_metrics
from roles.monitoring.settings import MonitoringSettings
from roles.nvidia_driver.decided import not_here
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_driver.settings import DEFAULTS, NvidiaDriverSettings

PORT = 9100  # the node exporter's own
PACKAGE = "prometheus-node-exporter"
UNIT = f"{PACKAGE}.service"
DROP_IN = f"/etc/systemd/system/{UNIT}.d/50-labctl.conf"
_WALLS = FirewallSettings()
_OURS = f"[ -e {DROP_IN} ] && dpkg-query -W -f '${{db:Status-Status}}' {PACKAGE}"


@role("monitoring", MonitoringSettings, firewall, nvidia_driver)
def monitoring(
    settings: MonitoringSettings,
    facts: HostFacts,
    walls: FirewallSettings = _WALLS,
    driver: NvidiaDriverSettings = DEFAULTS,
) -> Iterator[Resource]:
    """The exporter's settings are there before its package: what Debian starts on installation starts right."""
    if not settings.enabled:
        yield from _nothing()
        return
    _refuse_unopened(settings, walls)
    listen = f":{PORT}" if settings.expose else f"127.0.0.1:{PORT}"
    drop_in = File(DROP_IN, render(__file__, "prometheus-node-exporter.conf", listen=listen))
    yield Files("exporter settings", (drop_in,))
    yield Packages("packages", (PACKAGE,))
    yield Unit("exporter", UNIT, reads=(drop_in,), package=PACKAGE)
    yield from no_gpu_metrics() if not_here(driver, facts) else gpu_metrics(settings.every_seconds)


def _nothing() -> Iterator[Resource]:
    """The drop-in goes last: it says that the package is ours to purge. One that a person brought is left alone."""
    yield from no_gpu_metrics()
    yield Condition(
        "exporter removed",
        probe=f"{_OURS} | grep -v '^not-installed'; true",
        wanted="",
        problem=f"{PACKAGE} is there, and nobody asks for it",
        apply=as_host_unit(f"set -eu\n{APT_GET} purge {PACKAGE}\n"),
    )
    yield Files("no exporter settings", (File(DROP_IN, None),))


def _refuse_unopened(settings: MonitoringSettings, walls: FirewallSettings) -> None:
    """Raise BadInput where it would listen for nobody, or for everybody."""
    openings = [each for each in walls.exposed if (each.port, each.protocol) == (PORT, "tcp")]
    if not settings.expose or not walls.manage or (openings and all(each.sources for each in openings)):
        return
    raise BadInput(
        "the metrics are to be reached from outside, and the firewall does not say by whom",
        where="monitoring.expose",
        found=f"firewall.exposed opens {PORT} to everybody" if openings else f"no {PORT} in firewall.exposed",
        expected=f'firewall.exposed with {{"port": {PORT}, "from": ["192.168.1.0/24"]}}',
        hint="name the network, or the one address, that Prometheus asks from; nothing was changed",
    )
