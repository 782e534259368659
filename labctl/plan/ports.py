"""Gives every published port of a container a port of its host, once: what a plan has given out stays so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labctl.errors import BadInput
from labctl.plan.plan import Plan, PlannedPort, Protocol
from labctl.workloads.service import Service
from labctl.workloads.workload import Workload

# Above what programs use by themselves, below Kubernetes' node ports (30000) and Linux' own choices (32768, ip(7)).
FIRST, LAST = 20000, 29999


@dataclass(frozen=True)
class Published:
    """A port that a workload publishes. host: where the person wrote one."""

    container: int
    protocol: Protocol
    host: int | None


def published(workload: Workload, service: Service) -> tuple[Published, ...]:
    """As the workload says, and those of its service that it does not speak of."""
    written = tuple(_read(each) for each in workload.ports)
    spoken_of = {each.container for each in written}
    rest = tuple(
        Published(each.container, each.protocol, None)
        for each in service.ports
        if each.container not in spoken_of
    )
    return tuple(sorted({*written, *rest}, key=lambda each: (each.container, each.protocol, each.host or 0)))


def _read(port: str) -> Published:
    """`8080`, `9000:8080` or `53/udp`."""
    numbers, _, protocol = port.partition("/")
    host, _, container = numbers.rpartition(":")
    return Published(int(container), "udp" if protocol == "udp" else "tcp", int(host) if host else None)


def host_ports(
    wanted: Mapping[str, tuple[str, tuple[Published, ...]]],
    taken: Mapping[str, Iterable[int]],
    kept: Plan | None = None,
) -> Mapping[str, tuple[PlannedPort, ...]]:
    """By workload. wanted: its host and what it publishes. taken: per host, by others. kept: a plan that gave some out.

    One container port has one host port, over TCP and UDP alike. Raises BadInput when a host has none left.
    """
    used = {host: set(ports) for host, ports in taken.items()}
    for host, ports in wanted.values():
        used.setdefault(host, set()).update(each.host for each in ports if each.host)
    given: dict[tuple[str, int], int] = {}
    open_ones = sorted(
        {(name, each.container) for name, (_, ports) in wanted.items() for each in ports if not each.host}
    )
    for name, container in open_ones:
        before = _kept(kept, name, container)
        if before and before not in used[wanted[name][0]]:
            given[name, container] = before
            used[wanted[name][0]].add(before)
    for name, container in open_ones:
        if (name, container) not in given:
            given[name, container] = _free(name, wanted[name][0], used)
    return {
        name: tuple(
            PlannedPort(each.container, each.host or given[name, each.container], each.protocol)
            for each in ports
        )
        for name, (_, ports) in wanted.items()
    }


def _kept(kept: Plan | None, name: str, container: int) -> int | None:
    """What was given out; a port that the person wrote and no longer writes was not."""
    workload = kept.workloads.get(name) if kept else None
    found = (each.host for each in workload.ports if each.container == container) if workload else ()
    return next((port for port in found if FIRST <= port <= LAST), None)


def _free(name: str, host: str, used: dict[str, set[int]]) -> int:
    port = next((each for each in range(FIRST, LAST + 1) if each not in used[host]), None)
    if port is None:
        raise BadInput(
            "no port of this host is left",
            where=f"{name}.ports",
            found=host,
            expected=f"one of {FIRST}–{LAST}",
        )
    used[host].add(port)
    return port
