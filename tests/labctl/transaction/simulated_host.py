"""A simulated host: folders, and a systemd and a Podman that do no more than a transaction can tell.

It can be killed before any single step, and its power can be cut there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labctl.transaction.checking import GENERATOR
from labctl.transaction.commands import recover, transact, workplace
from labctl.transaction.disk import Disk
from labctl.transaction.layout import TARGET, Layout
from labctl.transaction.manifest import Image, ManagedUnit, Manifest, stage_id, staged_file
from labctl.transaction.programs import DEFAULT_SECONDS, Done
from labctl.transaction.report import Report
from labctl.transaction.restoring import Workplace
from labctl.transaction.status import print_status

NEVER_HEALTHY = "never healthy"
IMAGE = "registry.example/image:1"
CARD = "GPU-1"


class Killed(BaseException):
    """SIGKILL: nothing after it is done, no matter who would catch what."""


def manifest(
    units: Mapping[str, str],
    images: Sequence[Image] = (),
    gpus: Mapping[str, Mapping[str, int]] | None = None,
    after: Mapping[str, tuple[str, ...]] | None = None,
    plan: str = "{}",
) -> tuple[Manifest, dict[str, bytes]]:
    """A generation with one container unit for each name, with this text in it."""
    contents = {f"units/{name}.container": text.encode() for name, text in units.items()}
    contents["plan.json"] = plan.encode()
    return Manifest(
        files=tuple(staged_file(path, content) for path, content in contents.items()),
        units=tuple(
            ManagedUnit(
                name,
                f"{name}.service",
                (f"units/{name}.container",),
                health="notify",
                start_timeout_seconds=5,
                after=tuple(f"{each}.service" for each in (after or {}).get(name, ())),
                gpus=(gpus or {}).get(name, {}),
            )
            for name in units
        ),
        images=tuple(images),
    ), contents


@dataclass
class SimulatedHost:
    """running: the text of each unit that runs, as it was when it was started. started: every start, in order.

    networks: of workloads; used_networks: those that somebody else's container is on.

    brings_back: what a unit that is stopped starts, as a job does with what stepped aside for it.
    lost_card: one that fell off the bus, which nvidia-smi lists nothing for when it is asked for all.
    no_podman: what Podman says instead of whether an image is there.
    """

    root: Path
    loaded: dict[str, str] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)
    used_networks: set[str] = field(default_factory=set)
    pullable: dict[str, Done] = field(default_factory=dict)
    free_mib: dict[str, int] = field(default_factory=dict)
    held_mib: dict[str, int] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    brings_back: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    lost_card: str = ""
    no_podman: Done | None = None
    journal: str = ""
    secrets: str = "[]"
    clock: float = 0.0
    boots: int = 0
    before_step: Callable[[str], None] = lambda _step: None

    def __post_init__(self) -> None:
        self.layout = Layout(self.root)
        self.boot()

    def boot(self) -> None:
        """Power comes back: the generator makes units of the files that are there; nothing runs yet."""
        self.boots += 1
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir(parents=True)
        self.layout.boot_id.parent.mkdir(parents=True, exist_ok=True)
        self.layout.boot_id.write_text(f"boot {self.boots}\n")
        self.running, self.failed = {}, {}
        self._reload()

    def start_target(self) -> None:
        """What the recovery's unit does at the end of every boot."""
        for name in self.loaded:
            self._start(name)

    def stage(self, made: tuple[Manifest, dict[str, bytes]]) -> str:
        """Put a stage there; its instance name."""
        text = made[0].text()
        folder = self.layout.stages / stage_id(text)
        for path, content in {**made[1], "manifest.json": text.encode()}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return folder.name

    def transact(self, instance: str) -> int:
        """Run a transaction in a process of its own."""
        return transact(self._workplace(), instance)

    def recover(self, *, boot: bool, killed: str | None = None) -> int:
        """Run the recovery."""
        return recover(self._workplace(), boot=boot, killed=killed)

    def print_status(self) -> int:
        """Run `status`."""
        at = self._workplace()
        return print_status(at.layout, at.generations)

    def _workplace(self) -> Workplace:
        def write(text: str) -> None:
            self.lines.append(text.rstrip("\n"))

        disk = Disk(lambda what, path: self.before_step(f"{what} {path}"))
        return workplace(self.layout, disk, self, Report(write))

    def units_on_disk(self, only: str = "*") -> dict[str, str]:
        """The text of every installed unit."""
        folder = self.layout.installed("units/x").parent
        return {path.stem: path.read_text() for path in sorted(folder.glob(only))} if folder.is_dir() else {}

    # What `Programs` asks for.

    def run(
        self,
        command: Sequence[str],
        *,
        timeout_s: float = DEFAULT_SECONDS,
        env: Mapping[str, str] | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> Done:
        self.before_step(" ".join(command))
        match list(command):
            case ["systemctl", *rest]:
                return self._systemctl(rest)
            case ["podman", *rest]:
                if on_tick:
                    on_tick()
                return self._podman(rest)
            case ["journalctl", *_]:
                return Done(0, self.journal, "")
            case ["nvidia-smi", query, *rest] if query.startswith("--query-gpu"):
                return self._cards(rest[-1].partition("--id=")[2])
            case ["nvidia-smi", *_]:
                return Done(0, f"{CARD}, 4711, python3, 9000 MiB\n", "")
            case [program, "--dryrun"] if program == GENERATOR:
                return self._generated(Path((env or {})["QUADLET_UNIT_DIRS"]))
        return Done(0, "", "")

    def _cards(self, only: str) -> Done:
        if self.lost_card and only in ("", self.lost_card):
            return Done(15, "Unable to determine the device handle for GPU0000:01:00.0: Unknown Error", "")
        rows = [f"{uuid}, {self._free(uuid)}" for uuid in self.free_mib if only in ("", uuid)]
        return Done(0, "\n".join(rows), "")

    def _systemctl(self, arguments: list[str]) -> Done:
        match arguments:
            case ["show", "--property", _, "--", *units]:
                return Done(0, "\n\n".join(self._shown(unit) for unit in units), "")
            case ["stop", "--no-block", "--", *units]:
                for unit in units:
                    self._stop(unit)
            case ["start", "--no-block", "--", *units]:
                for unit in units:
                    self._start(unit.removesuffix(".service"))
            case ["daemon-reload"]:
                self._reload()
            case ["is-system-running"]:
                return Done(0, "running\n", "")
        return Done(0, "", "")

    def _podman(self, arguments: list[str]) -> Done:
        match arguments:
            case ["image", "exists", name]:
                return self.no_podman or Done(0 if name in self.images else 1, "", "")
            case ["pull", *_, name]:
                done = self.pullable.get(name, Done(125, "", "Error: manifest unknown"))
                if done.status == 0:
                    self.images.add(name)
                return done
            case ["network", "ls", *_]:
                return Done(0, "\n".join(self.networks | self.used_networks), "")
            case ["network", "rm", name] if name in self.used_networks:
                return Done(2, "", f"Error: network is being used: {name}")
            case ["network", "rm", name]:
                self.networks.discard(name)
            case ["info", *_]:
                return Done(0, f"{self.root}\n", "")
            case ["secret", "ls", *_]:
                return Done(0, "one\n" if self.secrets != "[]" else "", "")
            case ["secret", "inspect", *_]:
                return Done(0, self.secrets, "")
        return Done(0, "", "")

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def seconds(self) -> float:
        return self.clock

    def now(self) -> str:
        return "2026-11-21T13:00:00+00:00"

    def _shown(self, unit: str) -> str:
        name = unit.removesuffix(".service")
        if unit == TARGET:
            return "LoadState=loaded\nActiveState=active\nResult=success\nNRestarts=0\nJob=0"
        load = "loaded" if name in self.loaded else "not-found"
        active = "active" if name in self.running else "inactive"
        if self.running.get(name) == NEVER_HEALTHY:
            active = "activating"
        return f"LoadState={load}\nActiveState={active}\nResult=success\nNRestarts=0\nJob=0"

    def _start(self, name: str) -> None:
        if name in self.loaded and name not in self.running:
            self.running[name] = self.loaded[name]
            self.started.append(name)

    def _stop(self, unit: str) -> None:
        name = unit.removesuffix(".service")
        if self.running.pop(name, None) is not None:
            self.stopped.append(name)
            self._start(self.brings_back.get(name, ""))

    def _reload(self) -> None:
        # A unit that runs stays loaded when its file goes, as in systemd.
        kept = {name: text for name, text in self.loaded.items() if name in self.running}
        self.loaded = {**kept, **self.units_on_disk(only="*.container")}

    def _free(self, uuid: str) -> int:
        return self.free_mib[uuid] - sum(mib for name, mib in self.held_mib.items() if name in self.running)

    def _generated(self, folder: Path) -> Done:
        units = sorted(folder.glob("*.container"))
        if any("Foo=" in path.read_text() for path in units):
            return Done(1, "", f"quadlet-generator[1]: unsupported key 'Foo' in {units[0]}")
        return Done(0, "".join(f"---{path.stem}.service---\n[Service]\n" for path in units), "")
