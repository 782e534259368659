"""What is under way, written down before it is done, so that whoever comes after a crash can undo it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from labctl.errors import Failed
from labctl.transaction.disk import Disk, record
from labctl.transaction.layout import Layout

SCHEMA_VERSION = 1


@dataclass
class OpenState:
    """It is on the disk from before the first unit stops until the transaction is over.

    transaction: its instance name. target: the generation that is to be in force; `is_new` when it was made for this,
    `is_repair` when it is in force already and the host has strayed from it.
    files_before: the mode of each installed file that changes or goes, by staged path; `before/` has their contents.
    files_new: installed paths that were not there. up_before: units that ran. touched: units that may have been stopped
    or started.
    """

    transaction: str
    target: int
    is_new: bool
    is_repair: bool
    parent: int | None
    boot_id: str
    started_at: str
    files_before: dict[str, str]
    files_new: list[str]
    up_before: list[str]
    touched: list[str] = field(default_factory=list)

    def touch(self, units: list[str], layout: Layout, disk: Disk) -> None:
        """Note units, before they are stopped or started."""
        more = [unit for unit in units if unit not in self.touched]
        if more:
            self.touched += more
            self.save(layout, disk)

    def save(self, layout: Layout, disk: Disk) -> None:
        """Write it down."""
        text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=1)
        disk.write(layout.state, text.encode(), 0o600)


def load(layout: Layout) -> OpenState | None:
    """What is under way; None when nothing is. Raises Failed where the file is damaged, or another version's."""
    if not layout.state.is_file():
        return None
    hint = "what it began cannot be undone by itself any more: remove the file, then apply again"
    document = record(layout.state, hint)
    version = document.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise Failed(
            "an open transaction is of another labctl",
            where=str(layout.state),
            found=f"schema version {version}",
            expected=str(SCHEMA_VERSION),
            hint="apply with the labctl that began it",
        )
    return OpenState(**document)
