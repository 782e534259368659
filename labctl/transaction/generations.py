"""Generations on the disk: numbered folders that never change, and one link that says which is in force."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from labctl.errors import BadInput, Failed
from labctl.transaction.disk import STAGED, Disk, files_below, leftovers, record
from labctl.transaction.layout import BOOT_LETTERS, HALF_STAGED, Layout
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import Manifest, parse, stage_id

META = "meta.json"
KEPT = 5
"""Generations and stages that are kept beside the one in force and the one it came from."""


@dataclass(frozen=True)
class Generation:
    """One generation. parent: the number in force when it came, None for the first. stage: what it was made of."""

    number: int
    parent: int | None
    stage: str
    created_at: str


class Generations:
    """Those of one host."""

    def __init__(self, layout: Layout, disk: Disk) -> None:
        self._layout = layout
        self._disk = disk

    def current(self) -> int | None:
        """The number in force, None where there is none yet."""
        link = self._layout.current
        return int(link.readlink().name) if link.is_symlink() else None

    def folder(self, number: int) -> Path:
        """Where it lies."""
        return self._layout.generations / str(number)

    def manifest(self, number: int | None) -> Manifest | None:
        """What is in it, None for none."""
        if number is None:
            return None
        path = self.folder(number) / MANIFEST
        return parse(path.read_text(), str(path))

    def all(self) -> list[Generation]:
        """Those that are whole, oldest first."""
        top = self._layout.generations
        numbers = (
            sorted(int(path.name) for path in top.iterdir() if path.name.isdigit()) if top.is_dir() else []
        )
        return [self.about(number) for number in numbers if (self.folder(number) / META).is_file()]

    def about(self, number: int) -> Generation:
        """One of them. Raises BadInput when there is no such."""
        path = self.folder(number) / META
        if not path.is_file():
            have = ", ".join(str(one.number) for one in self.all())
            raise BadInput(
                "there is no such generation", found=str(number), expected=have or "none is there yet"
            )
        return Generation(**record(path, f"`labctl rollback` and apply cannot use it: remove {path.parent}"))

    def before_current(self) -> int:
        """The number that a rollback goes to. Raises Failed where there is none."""
        number = self.current()
        parent = self.about(number).parent if number is not None else None
        if parent is None or not (self.folder(parent) / META).is_file():
            raise Failed(
                "there is no earlier generation to go back to", found=f"generation {number or 'none'}"
            )
        return parent

    def next_number(self) -> int:
        """Never one that was used before."""
        return max((one.number for one in self.all()), default=0) + 1

    def prepare(self, stage: Path, number: int, now: str) -> None:
        """Copy a stage to be generation `number`, under a name that does not count yet."""
        staged = self._staged(number)
        self._disk.remove_tree(staged)
        self._disk.folder(staged, 0o700)
        for path in files_below(stage):
            self._disk.copy(path, staged / path.relative_to(stage), 0o600)
        about = Generation(number, self.current(), stage_id((stage / MANIFEST).read_text()), now)
        self._disk.write(staged / META, (json.dumps(asdict(about), indent=1) + "\n").encode(), 0o600)

    def commit(self, number: int) -> None:
        """Put it in force."""
        staged = self._staged(number)
        if staged.is_dir():
            self._disk.rename(staged, self.folder(number))
        self._disk.point(self._layout.current, str(number))

    def prepared(self, number: int) -> Path:
        """Where a generation lies that may be committed or not."""
        return self._staged(number) if self._staged(number).is_dir() else self.folder(number)

    def withdraw(self, number: int) -> None:
        """Let one that was not put in force count no more; `tidy` removes it."""
        if self.folder(number).is_dir():
            self._disk.rename(self.folder(number), self._staged(number))

    def tidy(self) -> None:
        """Remove what no rollback will want: old generations and stages, and what a killed transaction left."""
        current = self.current()
        everyone = self.all()
        parents = {one.parent for one in everyone if one.number == current}
        kept = {one.number for one in everyone[-KEPT:]} | {current} | parents
        for one in everyone:
            if one.number not in kept:
                self.withdraw(one.number)
        for path in leftovers(self._layout):
            if path.is_dir() and not path.is_symlink():
                self._disk.remove_tree(path)
            else:
                self._disk.remove(path)
        stages = self._layout.stages
        there = sorted(stages.iterdir()) if stages.is_dir() else []
        # What is being unpacked in this boot is somebody's who is at it.
        this_boot = f"{HALF_STAGED}{self._layout.boot_id.read_text()[:BOOT_LETTERS]}."
        whole = [path for path in there if not path.name.startswith(HALF_STAGED)]
        old = sorted(whole, key=lambda path: path.lstat().st_mtime)[:-KEPT]
        lost = [path for path in there if path not in whole and not path.name.startswith(this_boot)]
        for path in (*old, *lost):
            self._disk.remove_tree(path)

    def _staged(self, number: int) -> Path:
        return self._layout.generations / f"{number}{STAGED}"
