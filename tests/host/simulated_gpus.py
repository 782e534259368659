"""A throwaway host with a simulated NVIDIA driver: the distribution's own nvidia-smi on the library of tests/."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl.rig.reported import Process
from labctl.rig.rig import Host
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.build import LIBRARY, build
from tests.simulated_nvml.description import describe

# What Debian 13's nvidia-smi is. Most services want a newer one, which its nvidia-smi takes just as well.
DRIVER, NEWER_DRIVER = "550.163.01", "580.95.05"
_CUDA = {DRIVER: 12040, NEWER_DRIVER: 13000, "595.58.03": 13020}
STATE = "/run/simulated-nvml"
_INSTALL_TIMEOUT_S = 300


def install(host: ThrowawayHost, *packages: str) -> None:
    """Install nvidia-smi, and more."""
    host.run(
        # As Debian 13 is installed there is `main` alone.
        "sed -i '/^Components:/s/$/ contrib non-free/' /etc/apt/sources.list.d/debian.sources && "
        "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=60 install "
        f"--no-install-recommends {' '.join(('nvidia-smi', *packages))} >/dev/null",
        sudo=True,
        timeout_s=_INSTALL_TIMEOUT_S,
    )


def plug_in(host: ThrowawayHost, cards: Host, folder: Path) -> None:
    """Install nvidia-smi and put the simulated library before the real one, which finds no card here."""
    install(host)
    _write(host, f"usr/local/lib/{LIBRARY}", build(folder).read_bytes())
    host.run("ldconfig", sudo=True)
    describe_to(host, cards)


def describe_to(
    host: ThrowawayHost,
    cards: Host,
    processes: Mapping[int, Sequence[Process]] | None = None,
    *,
    nodes: bool = False,
    driver: str = DRIVER,
) -> None:
    """Say what cards the host has, and who uses them. nodes: they are seen through their /dev/nvidiaN alone."""
    text = describe(cards, processes, driver=driver, cuda=_CUDA[driver], nodes=nodes)
    _write(host, "etc/simulated-nvml", text.encode())


def _write(host: ThrowawayHost, path: str, content: bytes) -> None:
    """A file on the host's disk, from outside: nobody there has to copy it."""
    target = host.machine.session.path(host.machine.disk.root) / path
    target.write_bytes(content)
    target.chmod(0o644)
