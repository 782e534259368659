"""What a transaction changes, and what becomes of a unit that was started: values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Literal

from labctl.errors import AnswerIsNo
from labctl.transaction.layout import OURS_ALONE
from labctl.transaction.manifest import ManagedUnit, Manifest, StagedFile

SETTLE_SECONDS = 2.0
"""How long a unit without a health check stays up before it counts as started."""
RESTARTS_ALLOWED = 3
"""A service may find its database not ready yet; one that systemd started a fourth time is not going to come up."""


@dataclass(frozen=True)
class FileSeen:
    """An installed file as it is. mode: octal digits."""

    sha256: str
    mode: str


@dataclass(frozen=True)
class Change:
    """From what is installed to a manifest.

    write, remove: paths of files. edited: what stands there otherwise than the last generation left it.
    foreign: files in our folders that are of no generation; they are left alone.
    """

    added: tuple[ManagedUnit, ...]
    changed: tuple[ManagedUnit, ...]
    removed: tuple[ManagedUnit, ...]
    unchanged: tuple[ManagedUnit, ...]
    write: tuple[StagedFile, ...]
    remove: tuple[str, ...]
    edited: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """No file and no unit differs."""
        return not (self.added or self.changed or self.removed or self.write or self.remove)


def compare(new: Manifest, old: Manifest | None, installed: Mapping[str, FileSeen]) -> Change:
    """Hold `new` against the generation in force and against the files as they are."""
    wanted, was = new.trees, old.trees if old else {}
    write = tuple(file for path, file in sorted(wanted.items()) if not _is(installed.get(path), file))
    remove = tuple(path for path in sorted(was) if path not in wanted and path in installed)
    edited = tuple(path for path in sorted({**was, **wanted}) if _edited(path, wanted, was, installed))
    foreign = tuple(
        path
        for path in sorted(installed)
        if path not in wanted and path not in was and path.split("/")[0] in OURS_ALONE
    )
    differs = {file.path for file in write} | {
        path for path, file in wanted.items() if path not in was or was[path].sha256 != file.sha256
    }
    old_units = {unit.unit: unit for unit in old.units} if old else {}
    names = {unit.unit for unit in new.units}
    kept = [unit for unit in new.units if unit.unit in old_units]
    changed = tuple(
        unit
        for unit in kept
        if differs.intersection(unit.files) or set(old_units[unit.unit].files) != set(unit.files)
    )
    return Change(
        added=tuple(unit for unit in new.units if unit.unit not in old_units),
        changed=changed,
        removed=tuple(unit for name, unit in old_units.items() if name not in names),
        unchanged=tuple(unit for unit in kept if unit not in changed),
        write=write,
        remove=remove,
        edited=edited,
        foreign=foreign,
    )


def down(units: Iterable[ManagedUnit], up: Collection[str]) -> list[ManagedUnit]:
    """Of units, those that should run and do not; not what has stepped aside for a job that runs."""
    return [
        unit
        for unit in units
        if unit.start and unit.unit not in up and not any(each in up for each in unit.yields_to)
    ]


def migrations_refused(new: Manifest, images: Mapping[str, str]) -> Iterator[AnswerIsNo]:
    """Of units whose image would change without `labctl update`, and whose data moves one way with it.

    images: those that last ran on such data, by unit, in force or not.
    """
    # Every workload has a network of its name. What has none is beside a workload's first container, and there labctl
    # itself keeps the version, by what the host says of its data.
    workloads = {unit.name for unit in new.units if unit.kind == "network"}
    for unit in new.units:
        was = images.get(unit.unit)
        if unit.migrates and was is not None and unit.image != was and unit.unit not in new.updates:
            way_out = (
                f"keep it: `image: {was}` under {unit.name} in the workloads file, then place and apply again"
                if unit.name in workloads
                else "the next labctl apply keeps it"
            )
            yield AnswerIsNo(
                "its data moves with its version and does not move back",
                where=unit.name,
                found=f"another image: {unit.image}",
                expected=f"{was}, which its data is of",
                hint=f"{way_out}; labctl update does not move services yet",
            )


def waves(units: Iterable[ManagedUnit]) -> Iterator[tuple[ManagedUnit, ...]]:
    """Units in the order of their `after`: all of a wave can start when those before it are healthy."""
    by_name = {unit.unit: unit for unit in units}
    order = TopologicalSorter(
        {name: [each for each in unit.after if each in by_name] for name, unit in by_name.items()}
    )
    order.prepare()
    while order.is_active():
        ready = sorted(order.get_ready())
        yield tuple(by_name[name] for name in ready)
        order.done(*ready)


def memory_wanted(units: Iterable[ManagedUnit]) -> dict[str, int]:
    """MiB that `units` claim on each card, by UUID."""
    wanted: dict[str, int] = {}
    for unit in units:
        for uuid, mib in unit.gpus.items():
            wanted[uuid] = wanted.get(uuid, 0) + mib
    return wanted


@dataclass(frozen=True)
class UnitSeen:
    """A unit as systemd shows it. active: ActiveState. restarts: how often systemd began it anew. queued: it waits for
    others.
    """

    load: str
    active: str
    result: str = "success"
    restarts: int = 0
    queued: bool = False

    @property
    def is_up(self) -> bool:
        """It runs, or has done what it does once."""
        return self.active in ("active", "reloading")


Verdict = Literal["healthy", "waiting"]


def judge(
    unit: ManagedUnit, seen: UnitSeen, container: str | None, up_seconds: float | None, seconds: float
) -> Verdict | str:
    """healthy, waiting, or why it will not come up.

    container: the state of its health check, None where there is none. up_seconds: since it was first seen up, None
    while it is not. seconds: since it was started.
    """
    hopeless = _hopeless(seen, container, seconds)
    if hopeless:
        return hopeless
    if seen.is_up and up_seconds is not None:
        match unit.health:
            case "notify":
                return "healthy"
            case "podman" if container == "healthy":
                return "healthy"
            case "active" if up_seconds >= SETTLE_SECONDS:
                return "healthy"
            case _:
                pass
    if seconds >= unit.start_timeout_seconds:
        return f"not healthy within {unit.start_timeout_seconds} s"
    return "waiting"


def _hopeless(seen: UnitSeen, container: str | None, seconds: float) -> str | None:
    if seen.load not in ("loaded", "merged"):
        return f"systemd has no such unit ({seen.load})"
    if seen.active == "failed":
        return f"it failed ({seen.result})"
    if seen.restarts > RESTARTS_ALLOWED:
        return f"it ended and was started again {seen.restarts} times"
    if seen.active == "inactive" and not seen.queued and seconds > SETTLE_SECONDS:
        return f"it does not stay up ({seen.result})"
    return "its health check fails" if container == "unhealthy" else None


def _is(seen: FileSeen | None, file: StagedFile) -> bool:
    return seen is not None and (seen.sha256, seen.mode) == (file.sha256, file.mode)


def _edited(
    path: str,
    wanted: Mapping[str, StagedFile],
    was: Mapping[str, StagedFile],
    installed: Mapping[str, FileSeen],
) -> bool:
    seen = installed.get(path)
    if path in was:
        return not _is(seen, was[path])
    return seen is not None and not _is(seen, wanted[path])
