"""Where things lie on the host. `root` is another folder than / only in tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TARGET = "labctl.target"
"""Every service says WantedBy= this one and nothing else: it is started after boot, when no transaction is open."""

PROGRAM = "/usr/local/lib/labctl/transaction"
"""What runs a transaction on the host."""

# The first part of a staged file's path, and where that tree is installed.
TREES = {
    "units": "etc/containers/systemd/labctl",  # Quadlet's
    "systemd": "etc/systemd/system",  # plain units, named labctl-*
    "files": "etc/labctl/services",  # what units mount into containers
}
# Trees that are ours alone: what lies there and is of no generation is worth a word.
OURS_ALONE = ("units", "files")


HALF_STAGED = ".new."
"""Begins the name of a folder beside the stages that one is unpacked into; the boot it is done in comes next."""
BOOT_LETTERS = 8
"""So much of the boot's id."""


@dataclass(frozen=True)
class Layout:
    """Paths below `root`."""

    root: Path = Path("/")

    @property
    def library(self) -> Path:
        """Stages, generations and what is under way; survives a power cut."""
        return self.root / "var/lib/labctl"

    @property
    def stages(self) -> Path:
        """One folder per stage, by its id."""
        return self.library / "stages"

    @property
    def generations(self) -> Path:
        """One folder per generation, by its number, and `current`."""
        return self.library / "generations"

    @property
    def current(self) -> Path:
        """The link that says which generation is in force: moving it is the commit."""
        return self.generations / "current"

    @property
    def data_images(self) -> Path:
        """The image that last ran on each data that moves one way, by unit."""
        return self.library / "data-images.json"

    @property
    def open(self) -> Path:
        """What is under way."""
        return self.library / "transaction"

    @property
    def state(self) -> Path:
        """There exactly while units may be neither those of the old generation nor those of the new one."""
        return self.open / "state.json"

    @property
    def before(self) -> Path:
        """The installed files as they were before the first of them was changed."""
        return self.open / "before"

    @property
    def edited(self) -> Path:
        """Files that were changed by hand, as they were before a generation overwrote them; one folder for each."""
        return self.library / "edited-by-hand"

    @property
    def last_result(self) -> Path:
        """How the last transaction ended; survives a power cut."""
        return self.library / "last-transaction.json"

    @property
    def result(self) -> Path:
        """How the last transaction of this boot ended."""
        return self.root / "run/labctl/transaction.json"

    @property
    def lock(self) -> Path:
        """Held by the transaction that runs; says who that is."""
        return self.root / "run/labctl/transaction.lock"

    @property
    def boot_id(self) -> Path:
        """Changes with every boot."""
        return self.root / "proc/sys/kernel/random/boot_id"

    def installed(self, path: str) -> Path:
        """Where the staged file `path` (`units/chat.container`) is installed."""
        tree, _, rest = path.partition("/")
        return self.root / TREES[tree] / rest
