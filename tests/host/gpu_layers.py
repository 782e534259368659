"""Disks of hosts with two simulated cards that were deployed to, kept while the roles stay the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.host import simulated_driver, simulated_gpus, stand_in_driver, stand_in_repository
from tests.host.converged import converged_layer, digest_of_roles
from tests.host.deploying import labctl, write_inventory
from tests.host.disk import Layer
from tests.host.gpu_box import GpuBox, cards, equip, with_headers
from tests.host.hosts import ThrowawayHosts
from tests.host.stand_in_repository import TOOLKIT, StandIn, offer, publish
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.build import LIBRARY

# What a host's inventory says depends on keys that were made on it.
_SETTINGS = "etc/throwaway-host-gpu-box.json"
OTHER_VERSION = "570.133.20"
_BEFORE = ("base", "firewall", "podman")
_TIMEOUT_S = 900
_MADE_OF = tuple(
    Path(str(module.__file__))
    for module in (simulated_driver, simulated_gpus, stand_in_driver, stand_in_repository)
)


def with_cards(hosts: ThrowawayHosts) -> Layer:
    """Two cards, headers, and all that a deploy brings about before it comes to the cards."""
    return _cached(hosts, "cards", _prepare, above=with_headers(hosts))


def driven(hosts: ThrowawayHosts) -> Layer:
    """The same after a whole deploy, with stand-ins of the driver and of CUDA; apt is offered `OTHER_VERSION`, too."""
    return _cached(hosts, "driven", _drive, above=with_cards(hosts))


def with_toolkit(hosts: ThrowawayHosts) -> Layer:
    """Podman as the roles leave it, two simulated cards, and the toolkit: containers are given cards.

    What is said to be loaded is `NEWER_DRIVER`; a driver's other parts are not there.
    """
    return _cached(hosts, "toolkit", _give_to_containers, above=converged_layer(hosts))


def box_on(host: ThrowawayHost, folder: Path) -> GpuBox:
    """A host that started from one of these layers."""
    return GpuBox(host, folder, json.loads(_on_disk(host, _SETTINGS).read_text()))


def inventory_of(path: Path, host: ThrowawayHost) -> Path:
    """Write the inventory of such a host."""
    return write_inventory(path, host, **box_on(host, path.parent).settings)


def offer_driver(host: ThrowawayHost, *stand_ins: StandIn) -> None:
    """What apt finds from now on, beside the archive, on a host with package lists."""
    offer(host, "driver", *stand_ins)
    host.console_run("apt-get -qq update", timeout_s=_TIMEOUT_S)


def _cached(
    hosts: ThrowawayHosts, name: str, prepare: Callable[[ThrowawayHost], None], *, above: Layer
) -> Layer:
    return hosts.cached_layer(name, digest_of_roles(Path(__file__), *_MADE_OF), prepare, above=above)


def _prepare(host: ThrowawayHost) -> None:
    with tempfile.TemporaryDirectory() as folder:
        box = equip(host, Path(folder))
        simulated_driver.write(host, _SETTINGS, json.dumps(box.settings))
        _deploy(host, Path(folder), [word for role in _BEFORE for word in ("--only", role)])
    # As though no deploy had ended yet.
    host.console_run("rm /var/lib/labctl/receipt.json")


def _drive(host: ThrowawayHost) -> None:
    other = stand_in_driver.libraries(OTHER_VERSION, revision="-1")
    module = stand_in_driver.kernel_module(version=OTHER_VERSION, revision="-1")
    offer(host, "other-branch", module, *other)
    offer_driver(host, *stand_in_driver.debian_driver())
    with tempfile.TemporaryDirectory() as folder:
        _deploy(host, Path(folder), [])


def _give_to_containers(host: ThrowawayHost) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulated_gpus.plug_in(host, cards(), folder)
        library = (folder / LIBRARY).read_bytes()
        simulated_driver.plug_in(host, cards(), library, loaded=simulated_gpus.NEWER_DRIVER)
        repository = publish(host, "container-toolkit", TOOLKIT).settings
        settings = {
            "nvidia_driver": {"in_container": True, "source": "distribution"},
            "container_toolkit": {"repository": repository},
        }
        simulated_driver.write(host, _SETTINGS, json.dumps(settings))
        _deploy(host, folder, ["--only", "container_toolkit"])


def _deploy(host: ThrowawayHost, folder: Path, options: Sequence[str]) -> None:
    run = labctl("deploy", inventory_of(folder / "home.py", host), *options, timeout_s=_TIMEOUT_S)
    assert run.exit_code == 0, run.stdout + run.stderr


def _on_disk(host: ThrowawayHost, path: str) -> Path:
    return host.machine.session.path(host.machine.disk.root) / path
