"""The manifest of a stage: every file with its hash, every unit with what the host must know to start and stop it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from labctl.errors import BadInput
from labctl.transaction.layout import TREES

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    _Made = TypeVar("_Made", bound=DataclassInstance)

SCHEMA_VERSION = 1
FILE_NAME = "manifest.json"
PLAN_NAME = "plan.json"
MODES = ("600", "644", "755")
Health = Literal["active", "notify", "podman"]
Kind = Literal["service", "network", "volume"]

_BOUND = ".after-"
_PART = r"[A-Za-z0-9_@][A-Za-z0-9_@.-]*"
_PATH = re.compile(rf"({'|'.join(TREES)})/{_PART}(/{_PART}){{0,2}}")
_SYSTEMD = re.compile(r"systemd/labctl-.+")  # never a unit of the distribution's
_UNIT = re.compile(r"[A-Za-z0-9_@:.-]+\.(service|timer|target|socket|path)")


@dataclass(frozen=True)
class StagedFile:
    """A file of the stage. mode: octal digits; 600 where environment may stand in it."""

    path: str
    sha256: str
    mode: str = "600"


@dataclass(frozen=True)
class Image:
    """A container image to have before anything stops. download_mib: None where nobody knows."""

    name: str
    download_mib: int | None = None


@dataclass(frozen=True)
class Port:
    """A port of the host that a unit publishes."""

    address: str
    port: int
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True)
class ManagedUnit:
    """One systemd unit of the generation.

    name: what messages call it. files: the staged files whose change makes it start anew, those of its networks and
    volumes among them. after: units that must be healthy first. start: False for what a timer starts.
    health: what makes it healthy. "notify": systemd calls it active no sooner (Quadlet's Notify=healthy, a oneshot);
    "podman": the health check of `container`; "active": it stays active for some seconds.
    gpus: MiB that must be free of each card when it starts, by UUID. network: what a .network unit makes in Podman.
    image, migrates: a service whose data moves one way with its version. yields_to: units for which it steps aside;
    while one of them runs, it is not started.
    """

    name: str
    unit: str
    files: tuple[str, ...]
    kind: Kind = "service"
    after: tuple[str, ...] = ()
    start: bool = True
    health: Health = "active"
    container: str | None = None
    network: str | None = None
    start_timeout_seconds: int = 90
    stop_timeout_seconds: int = 90
    gpus: Mapping[str, int] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    image: str | None = None
    migrates: bool = False
    yields_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """A whole generation. updates: units with `migrates` whose image may change this once (`labctl update`)."""

    files: tuple[StagedFile, ...]
    units: tuple[ManagedUnit, ...]
    images: tuple[Image, ...] = ()
    updates: tuple[str, ...] = ()

    @property
    def trees(self) -> dict[str, StagedFile]:
        """The files that are installed, by path: all but the plan."""
        return {file.path: file for file in self.files if file.path != PLAN_NAME}

    def text(self) -> str:
        """The file's content; the same value gives the same bytes."""
        document = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(document, indent=1, sort_keys=True) + "\n"


def staged_file(path: str, content: bytes, mode: str = "600") -> StagedFile:
    """A file of a stage, with the hash of its content."""
    return StagedFile(path, hashlib.sha256(content).hexdigest(), mode)


def stage_id(text: str) -> str:
    """The name of the stage with this manifest: its hash, so that the name vouches for every file in it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def bound(instance: str, in_force: int | None) -> str:
    """The instance, but only where this generation, which it was compared with, is still in force; None for none."""
    return f"{instance}{_BOUND}{in_force or 0}"


def unbound(instance: str) -> tuple[str, int | None]:
    """What `bound` was given, 0 for no generation; None where it is bound to none."""
    name, is_bound, number = instance.rpartition(_BOUND)
    return (name, int(number)) if is_bound and number.isdigit() else (instance, None)


def parse(text: str, where: str) -> Manifest:
    """Read a manifest. Raises BadInput, with what is wrong in it."""
    try:
        document = json.loads(text)
        version = document.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise BadInput(
                "the manifest is of another labctl",
                where=where,
                found=f"schema version {version}",
                expected=str(SCHEMA_VERSION),
                hint="apply again, with one version of labctl",
            )
        manifest = Manifest(
            files=tuple(_made(StagedFile, each) for each in document["files"]),
            units=tuple(_unit(each) for each in document["units"]),
            images=tuple(_made(Image, each) for each in document["images"]),
            updates=tuple(document["updates"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadInput(
            "this is no manifest", where=where, found=str(problem) or type(problem).__name__
        ) from None
    for wrong in problems(manifest):
        raise BadInput(wrong, where=where)
    return manifest


def problems(manifest: Manifest) -> Iterator[str]:
    """What is wrong with a manifest, one clause each."""
    paths = [file.path for file in manifest.files]
    units = [unit.unit for unit in manifest.units]
    for name, names in (("file", paths), ("unit", units)):
        yield from (
            f"{name} {each} is there twice" for each in sorted({x for x in names if names.count(x) > 1})
        )
    for file in manifest.files:
        yield from _file_problems(file)
    for unit in manifest.units:
        yield from _unit_problems(unit, set(paths), set(units))
    try:
        TopologicalSorter({unit.unit: unit.after for unit in manifest.units}).prepare()
    except CycleError as cycle:
        yield f"units wait for one another: {' → '.join(cycle.args[1])}"


def _file_problems(file: StagedFile) -> Iterator[str]:
    if not re.fullmatch(r"[0-9a-f]{64}", file.sha256):
        yield f"{file.path} has no SHA-256"
    if file.mode not in MODES:
        yield f"{file.path} has mode {file.mode}, none of {', '.join(MODES)}"
    if file.path == PLAN_NAME:
        return
    if not _PATH.fullmatch(file.path):
        yield f"{file.path} is no path in {', '.join(TREES)}"
    elif file.path.startswith("systemd/") and not _SYSTEMD.fullmatch(file.path):
        yield f"{file.path} is not named labctl-…"


def _unit_problems(unit: ManagedUnit, paths: set[str], units: set[str]) -> Iterator[str]:
    if not _UNIT.fullmatch(unit.unit):
        yield f"{unit.unit} is no unit's name"
    if unit.health not in get_args(Health) or unit.kind not in get_args(Kind):
        yield f"{unit.unit} has health {unit.health} and kind {unit.kind}"
    if unit.health == "podman" and not unit.container:
        yield f"{unit.unit} names no container whose health is asked for"
    yield from (f"{unit.unit} wants {path}, which is not staged" for path in sorted({*unit.files} - paths))
    yield from (f"{unit.unit} is after {each}, which is not there" for each in sorted({*unit.after} - units))
    if not unit.files:
        yield f"{unit.unit} has no file"


def _unit(values: Mapping[str, Any]) -> ManagedUnit:
    made = dict(values)
    made["files"], made["after"] = tuple(made["files"]), tuple(made.get("after", ()))
    made["yields_to"] = tuple(made.get("yields_to", ()))
    made["ports"] = tuple(_made(Port, port) for port in made.get("ports", ()))
    made["gpus"] = {str(uuid): int(mib) for uuid, mib in made.get("gpus", {}).items()}
    return _made(ManagedUnit, made)


def _made(kind: type[_Made], values: Mapping[str, Any]) -> _Made:
    unknown = set(values) - {each.name for each in fields(kind)}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    return kind(**values)
