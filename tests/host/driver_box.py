"""A GPU box for what goes wrong: only the roles up to CUDA, stand-ins for all that they install, and plain answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.host.deploying import Run, labctl, write_inventory
from tests.host.disk import Layer
from tests.host.gpu_box import UNFINISHED, GpuBox, boot_gpu_box
from tests.host.hosts import ThrowawayHosts
from tests.host.stand_in_driver import kernel_module, libraries, open_kernel_module, programs, toolkit
from tests.host.stand_in_repository import StandIn

_ONLY = ("--only", "base,nvidia_driver,cuda")
# Everything that a deploy could change before it is refused. The lists' folder is apt's to touch at any time.
_STATE = (
    "{ cat /var/lib/dpkg/status; find /etc /usr/share/keyrings /lib/modules /var/lib/labctl -xdev -type f "
    "-printf '%p %T@ %s\\n' 2>/dev/null | sort; } | sha256sum"
)


@dataclass(frozen=True)
class DriverBox:
    """A host on which the driver is Debian's, from stand-ins whose open flavour does not build unless said."""

    gpu: GpuBox

    @property
    def name(self) -> str:
        """Its name in the inventory."""
        return self.gpu.host.name

    def labctl(self, verb: str, **driver: Any) -> Run:
        """Run it with settings of the driver."""
        return labctl(verb, self.inventory(**driver), "--json", *_ONLY, timeout_s=900)

    def inventory(self, **driver: Any) -> Path:
        """With settings of the driver."""
        data = {"source": "distribution", "in_container": True, **driver}
        return write_inventory(self.gpu.folder / f"{self.name}.py", self.gpu.host, nvidia_driver=data)

    def refused(self, **driver: Any) -> str:
        """A deploy that has to fail: its one line for a person. The state of packages is in order after it."""
        run = self.labctl("deploy", **driver)
        assert run.exit_code == 1, run.stdout + run.stderr
        found = run.host(self.name)
        if found["error"]:
            return f"{found['error']['message']} — {found['error']['hint']}"
        failed = [each for each in found["operations"] if each["status"] == "failed"]
        assert len(failed) == 1, run.stdout
        return str(failed[0]["output"][0])

    def root(self, command: str, *, check: bool = True) -> str:
        """What a command prints on the host, run by root from outside."""
        return self.gpu.root(command, check=check)

    def state(self) -> str:
        """Changes with packages, settings, keys and modules."""
        return self.root(_STATE)

    def packages_in_order(self) -> bool:
        """Nothing half-done, and apt agrees."""
        return self.root(f"{UNFINISHED}; dpkg --audit; apt-get -qq check 2>&1", check=False) == ""

    def modules(self) -> str:
        """What dkms has."""
        return self.root("command -v dkms >/dev/null && dkms status || true")


def driver(*, open_builds: bool = False) -> Sequence[StandIn]:
    """What apt offers: Debian's driver and CUDA 12."""
    return (
        kernel_module(),
        open_kernel_module(builds=open_builds),
        *libraries(),
        *programs(),
        toolkit(),
    )


def boot_driver_box(
    hosts: ThrowawayHosts, name: str, folder: Path, *, layer: Layer | None = None
) -> DriverBox:
    """Boot it."""
    return DriverBox(boot_gpu_box(hosts, name, folder, stand_ins=driver(), layer=layer))
