"""Machines as they are now: this one, or those of an inventory."""

from dataclasses import dataclass
from pathlib import Path

from labctl.edges import nvml
from labctl.edges.inventory_argument import split
from labctl.errors import Failed
from labctl.rig import nvidia_smi
from labctl.rig.host_report import SCRIPT, cgroups, host_report, sections
from labctl.rig.live import LiveHost, live_host
from labctl.rig.reported import DriverReport
from labctl.rig.rig import Host, Rig

_HOW_TO_INSTALL = "install NVIDIA's driver; without a card, name a rig: --rig workloads/rigs/dual-3090.yaml"
# What nvidia-smi says, and what to do about it.
_HINTS = (
    ("not found", "the driver is not installed: install NVIDIA's driver"),
    ("couldn't communicate", "no driver is loaded: install NVIDIA's driver, or reboot if that was just done"),
    ("mismatch", "the driver was updated under the one that is loaded: reboot that machine"),
    ("couldn't find libnvidia-ml", "the driver's library is missing: install NVIDIA's driver"),
    ("No devices were found", "the driver sees no card: look at its seat, its power cables and `lspci`"),
)


def this_machine() -> LiveHost:
    """This machine. Raises Failed where there is no NVIDIA driver, or no card."""
    found = nvml.live()
    if found is None or not (found.host.cards or found.problems):
        raise Failed(
            "this machine has no NVIDIA card that a driver answers for",
            where="NVML",
            found="no driver" if found is None else "a driver without cards",
            hint=_HOW_TO_INSTALL,
        )
    return found


def of_inventory(inventory: str) -> tuple[LiveHost, ...]:
    """The hosts of `FILE`, or the one of `FILE:HOST`, in the inventory's order; one remote command each.

    A host that cannot be read has no cards, and says why among its problems. Raises BadInput for an inventory that
    cannot be used.
    """
    found = answers(inventory, SCRIPT)
    return tuple(
        read(name, said) if isinstance(said, str) else _unread(name, said.problem)
        for name, said in found.items()
    )


@dataclass(frozen=True)
class NoAnswer:
    """A host that could not be asked, and why."""

    problem: str


def answers(inventory: str, script: str) -> dict[str, str | NoAnswer]:
    """What each host of `FILE`, or the one of `FILE:HOST`, prints for a script that changes nothing.

    In the inventory's order; one remote command each, as the login user. Raises BadInput for an inventory that cannot
    be used, Failed where no host was even tried.
    """
    from labctl.edges import events
    from labctl.edges.deploy_request import DeployRequest
    from labctl.edges.deploy_runner import run

    path, host = split(inventory)
    request = DeployRequest("read", path, limit=(host,) if host else (), script=script)
    names: tuple[str, ...] = ()
    found: dict[str, str | NoAnswer] = {}
    for event in run(request):
        match event:
            case events.Refused():
                raise event.error()
            case events.Started():
                names = event.hosts
            case events.HostAnswered():
                found[event.host] = event.output
            case events.HostFailed():
                said = f"{event.message} — {event.hint}" if event.hint else event.message
                found[event.host] = NoAnswer(said)
            case events.Note() if not event.host:
                raise Failed(event.message, where=path, hint="run `labctl check` with this inventory and -v")
            case _:
                pass
    return {name: found[name] for name in names if name in found}


def rig(inventory: str | None = None) -> Rig:
    """The rig of an inventory, or of this machine. Raises Failed where any part of it cannot be read."""
    hosts = of_inventory(inventory) if inventory else (this_machine(),)
    for each in hosts:
        if each.problems:
            raise Failed("this machine could not be read", where=each.host.name, found=each.problems[0])
    return Rig(rig_name(inventory, hosts), tuple(each.host for each in hosts))


def rig_name(inventory: str | None, hosts: tuple[LiveHost, ...]) -> str:
    """A name for hosts that were read: the host's own; of several, the inventory's."""
    if len(hosts) == 1 or not inventory:
        return hosts[0].host.name if hosts else "empty"
    return Path(split(inventory)[0]).stem.lstrip("@") or "inventory"


def read(name: str, output: str) -> LiveHost:
    """What a host printed for `SCRIPT`. name: as the inventory calls it; `@local` goes by its own."""
    parts = sections(output)
    machine = host_report(parts)
    known_as = None if name.startswith("@") else name
    try:
        report = nvidia_smi.parse(
            parts.get("nvidia-smi", ""),
            parts.get("capabilities", ""),
            parts.get("topology", ""),
            cgroups(parts.get("cgroups", "")),
        )
    except nvidia_smi.NotNvidiaSmi as said:
        hint = next((hint for words, hint in _HINTS if words in str(said)), "does `nvidia-smi` work there?")
        problem = f"nvidia-smi gives no answer: {said} — {hint}"
        bare = live_host(known_as, DriverReport(None, None, ()), machine, nvml.identified)
        return LiveHost(bare.host, (), bare.available_mib, (problem,))
    return live_host(known_as, report, machine, nvml.identified)


def _unread(name: str, problem: str) -> LiveHost:
    return LiveHost(Host(name, ()), (), problems=(problem,))
