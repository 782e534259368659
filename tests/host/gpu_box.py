"""A host with kernel headers and two simulated RTX 3090s on its bus, whose inventory asks for all that cards want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl.driver.decision import Preflight, Request
from labctl.driver.report import parse
from labctl.driver.survey import SCRIPT
from labctl.driver.table import Origin
from labctl.edges.preflights import decide
from labctl.edges.rigs import read_rig
from labctl.rig.rig import Host
from tests.host import simulated_driver, simulated_gpus
from tests.host.deploying import CHECKOUT, Run, labctl, write_inventory
from tests.host.disk import Layer
from tests.host.hosts import ThrowawayHosts
from tests.host.stand_in_repository import TOOLKIT, StandIn, offer, publish
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.build import build
from tests.simulated_nvml.description import uuid_of

# The real driver's build takes minutes.
_DEPLOY_TIMEOUT_S = 1800
# An initramfs is made at every turn, and never booted here: one without modules is made in a second.
_HEADERS = (
    "mkdir -p /etc/initramfs-tools/conf.d && "
    "printf 'MODULES=list\\nCOMPRESS=gzip\\n' >/etc/initramfs-tools/conf.d/throwaway && "
    "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "
    "linux-headers-amd64 >/dev/null && rm -rf /var/lib/apt/lists/*"
)
LIMITS = "nvidia-smi --query-gpu=uuid,power.limit --format=csv,noheader"
LIMITED = "\n".join(f"{uuid_of(index)}, 280.00 W" for index in range(2))
"""What `LIMITS` prints when both cards are limited as the inventory asks."""
UNFINISHED = (
    "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' | grep -vE '^(installed|config-files) ' || true"
)
"""A command that prints the packages dpkg has begun and not finished."""


@dataclass
class GpuBox:
    """The host, and what its inventory says."""

    host: ThrowawayHost
    folder: Path
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def inventory(self, **data: dict[str, Any]) -> Path:
        """Its inventory, with `data` laid over the settings."""
        merged = {key: {**self.settings.get(key, {}), **data.get(key, {})} for key in {*self.settings, *data}}
        return write_inventory(self.folder / f"{self.host.name}.py", self.host, **merged)

    def labctl(self, verb: str, *options: str, **data: dict[str, Any]) -> Run:
        """Run it, with --json."""
        return labctl(verb, self.inventory(**data), "--json", *options, timeout_s=_DEPLOY_TIMEOUT_S)

    def root(self, command: str, *, check: bool = True) -> str:
        """What a command prints on the host, run by root from outside."""
        return self.host.console_run(command, check=check, timeout_s=_DEPLOY_TIMEOUT_S).stdout.strip()

    def has_module_for_next_boot(self, version: str = simulated_gpus.DRIVER) -> bool:
        """Whether dkms says that it installed one for the newest kernel."""
        kernel = self.root("ls -v /lib/modules | tail -n 1")
        return f"{version}, {kernel}, x86_64: installed" in self.root("dkms status")


def preflight_again(host: ThrowawayHost, source: Origin | None) -> Preflight:
    """What the preflight says of the host as it is now."""
    return decide(parse(host.run(SCRIPT).stdout), Request(source=source, in_container=True))


def cards() -> Host:
    """The seed rig's two RTX 3090s as they come, at 350 W: a limit below it was set by somebody since the last boot."""
    host = read_rig(str(CHECKOUT / "workloads" / "rigs" / "dual-3090.yaml")).hosts[0]
    return replace(host, cards=tuple(replace(card, power_limit_watts=None) for card in host.cards))


def with_headers(hosts: ThrowawayHosts, suite: str = "trixie") -> Layer:
    """The disk of a bare Debian with the headers that the archive's kernel is built on; made once."""
    return hosts.cached_layer("kernel-headers", _HEADERS, install_headers, suite=suite)


def install_headers(host: ThrowawayHost) -> None:
    """Those of the archive's kernel."""
    host.run(_HEADERS, sudo=True, timeout_s=900)


def boot_gpu_box(
    hosts: ThrowawayHosts,
    name: str,
    folder: Path,
    *,
    stand_ins: Sequence[StandIn] = (),
    layer: Layer | None = None,
) -> GpuBox:
    """Boot it. stand_ins: what apt is offered beside the archive, as `stand_in_driver.debian_driver()`."""
    host = hosts.boot(name, layer=layer or with_headers(hosts))
    return equip(host, folder, stand_ins=stand_ins)


def equip(host: ThrowawayHost, folder: Path, *, stand_ins: Sequence[StandIn] = ()) -> GpuBox:
    """Give a host that is on its cards, and what its inventory needs to say here."""
    simulated_driver.plug_in(host, cards(), build(folder).read_bytes())
    if stand_ins:
        offer(host, "driver", *stand_ins)
    return GpuBox(
        host,
        folder,
        {
            "nvidia_driver": {"source": "distribution", "in_container": True},
            "container_toolkit": {"repository": publish(host, "container-toolkit", TOOLKIT).settings},
            "gpu_power": {"limits": {"rtx-3090": 280}},
        },
    )
