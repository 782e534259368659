"""The service around a container: what is done before and after, how long things may take, what it may use."""

from collections.abc import Iterator

from labctl.render import names
from labctl.render.storage import Mount, folders
from labctl.render.unit_text import UnitText
from labctl.render.values import Asked
from labctl.render.window import minutes
from labctl.workloads.container import Container

# A service that cannot start is tried again, less and less often, and never given up.
_RESTART = {"Restart": "always", "RestartSec": "5", "RestartSteps": "6", "RestartMaxDelaySec": "5min"}
# What Podman takes to remove a container after it was killed.
_STOP_GRACE_SECONDS = 30


def say_service(
    text: UnitText, asked: Asked, container: Container, found: tuple[Mount, ...], *, is_first: bool
) -> None:
    """Section Service."""
    for line in folders(found):
        text.say("Service", "ExecStartPre", line)
    if is_first and asked.loads_alone:
        stop = f"/usr/bin/systemctl stop --no-block {names.lock(asked.name)}"
        text.remark("Service", "Healthy or failed, the next one may load.")
        text.say("Service", "ExecStartPost", stop)
        text.say("Service", "ExecStopPost", stop)
    if is_first and asked.planned.displaces:
        back = " ".join(names.unit(names.stem(each)) for each in asked.planned.displaces)
        text.remark("Service", "What stepped aside comes back.")
        text.say("Service", "ExecStopPost", f"/usr/bin/systemctl start --no-block {back}")
    for key, value in _lifetime(asked, container):
        text.say("Service", key, value)
    _limits(text, asked, container, is_first=is_first)


def _lifetime(asked: Asked, container: Container) -> Iterator[tuple[str, str | int]]:
    window = minutes(asked.planned.when)
    if asked.service.job:
        # All of it counts as starting, so this is what ends it.
        yield from (("Type", "oneshot"), ("Restart", "no"))
        yield "TimeoutStartSec", "infinity" if window is None else f"{window}min"
    else:
        yield from (("Restart", "no"),) if asked.started_by_hand else _RESTART.items()
        if window is not None:
            yield "RuntimeMaxSec", f"{window}min"
        # What mends its data as it starts, or brings them to a new version, must not be cut off at it: it would begin
        # anew each time and never get to the end. Whoever started it stops waiting after its `start_seconds`.
        yield "TimeoutStartSec", "infinity" if container.keeps_state else container.start_seconds
    yield "TimeoutStopSec", container.stop_seconds + _STOP_GRACE_SECONDS


def _limits(text: UnitText, asked: Asked, container: Container, *, is_first: bool) -> None:
    """By systemd, for Quadlet's own key came with Podman 5.5; the container runs below its unit's cgroup."""
    if memory := ram_mib(asked, container, is_first=is_first):
        text.say("Service", "MemoryMax", f"{memory}M")
    else:
        text.remark("Service", "No limit on memory: nobody said what it takes (`ram_mib`).")
    cores = asked.facts.cores
    if cores is None:
        text.remark("Service", "No limit on the processor: nobody looked how many cores there are.")
    else:
        # One core is left for everything else: for whoever has to log in and look.
        text.say("Service", "CPUQuota", f"{max(1, cores - 1) * 100}%")


def ram_mib(asked: Asked, container: Container, *, is_first: bool) -> int:
    """Its part of what the plan counts, pages of a mapped model that stay in RAM included; 0 where nobody knows."""
    if not is_first:
        return container.ram_mib or 0
    return max(0, asked.planned.ram_mib - sum(each.ram_mib or 0 for each in asked.service.containers))
