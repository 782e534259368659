"""The demo's host: Debian with two simulated RTX 3090s, and what it would otherwise have from the vendors' servers.

NVIDIA's packages are stand-ins by the names that they have there; with them comes Debian's own nvidia-smi, on the
simulated library. Images come from a registry of this machine's, under their true names.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.edges import catalog
from labctl.edges.workloads_file import read_workloads
from tests.host import simulated_driver, stand_in_nvidia
from tests.host.deploying import CHECKOUT, write_inventory
from tests.host.gpu_box import cards, with_headers
from tests.host.hosts import ThrowawayHosts
from tests.host.image_registry import prepare
from tests.host.service_images import ServiceImage
from tests.host.stand_in_driver import toolkit
from tests.host.stand_in_repository import TOOLKIT, offer, publish
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.build import build

NAME = "aibox"
WORKLOADS = CHECKOUT / "workloads" / "demo.yaml"
PLACED = str(WORKLOADS.relative_to(CHECKOUT))
"""The same, as it is called where labctl is started."""
DRIVER = stand_in_nvidia.NEW
"""What `labctl preflight` chooses for an RTX 3090 on Debian 13."""
_NVIDIA_SMI = "usr/local/lib/throwaway-host/nvidia-smi"
_FETCH_NVIDIA_SMI = f"""set -eu
sources=/etc/apt/sources.list.d/debian.sources folder=$(mktemp -d)
cp -a $sources "$folder/before"
sed -i '/^Components:/s/$/ non-free/' $sources
apt-get -qq update
cd "$folder"; apt-get -qq download nvidia-smi; dpkg-deb -x nvidia-smi_*.deb .
install -D usr/lib/nvidia/current/nvidia-smi /{_NVIDIA_SMI}
mv before $sources
rm -rf "$folder" /var/lib/apt/lists/*
"""
# The simulated driver says what it runs; without a unit of the package there would be none.
_PERSISTENCED = "[Unit]\nDescription=STAND-IN for NVIDIA's\n[Service]\nExecStart=/bin/true\n"


@dataclass(frozen=True)
class DemoHost:
    """inventory: of it alone. checkout: labctl and the workloads files, told the digests of these images."""

    host: ThrowawayHost
    inventory: Path
    checkout: Path


def image_lines(images: Mapping[str, ServiceImage]) -> list[str]:
    """What each image of the demo's workloads is made of."""
    services = [catalog.known_service(each.service) for each in read_workloads(str(WORKLOADS))]
    containers = [container for service in services for container in service.containers]
    return sorted(images[each.image.name].line for each in containers if each.image)


def boot_demo_host(hosts: ThrowawayHosts, folder: Path) -> DemoHost:
    """Boot it, with nothing deployed yet. folder: for its inventory, and the copy of labctl."""
    key = hashlib.sha256(_FETCH_NVIDIA_SMI.encode()).hexdigest()
    layer = hosts.cached_layer("nvidia-smi-alone", key, _fetch_nvidia_smi, above=with_headers(hosts))
    host = hosts.boot(NAME, layer=layer)
    simulated_driver.plug_in(host, cards(), build(folder).read_bytes(), driver=DRIVER)
    simulated_driver.write(host, "etc/systemd/system/nvidia-persistenced.service", _PERSISTENCED)
    nvidia_smi = host.machine.session.path(host.machine.disk.root) / _NVIDIA_SMI
    contents = {"nvidia-smi": {"usr/bin/nvidia-smi": nvidia_smi.read_bytes()}}
    nvidia = publish(host, "nvidia", *stand_in_nvidia.debian(DRIVER, contents=contents))
    offer(host, "cuda", toolkit())
    inventory = write_inventory(
        folder / "home.py",
        host,
        nvidia_driver={"in_container": True, "repository": nvidia.settings},
        container_toolkit={"repository": publish(host, "container-toolkit", TOOLKIT).settings},
        gpu_power={"limits": {"rtx-3090": 280}},
    )
    checkout = prepare(hosts, host).checkout(folder / "labctl")
    shutil.copytree(WORKLOADS.parent, checkout / WORKLOADS.parent.name)
    return DemoHost(host, inventory, checkout)


def _fetch_nvidia_smi(host: ThrowawayHost) -> None:
    host.console_run(_FETCH_NVIDIA_SMI, timeout_s=300)
