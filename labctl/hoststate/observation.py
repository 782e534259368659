"""What a survey saw on a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileSeen:
    """A path that exists. `kind`: "regular file", "directory", "symbolic link" or "special file"."""

    kind: str
    mode: str  # octal digits: "644"
    owner: str
    group: str
    changed_at: float  # ctime, seconds since the epoch: a hand cannot set it back, unlike mtime
    sha256: str | None  # None for anything that is not a regular file


@dataclass(frozen=True)
class PackageSeen:
    """A package dpkg knows. `status` is `${db:Status-Status}`: installed, half-configured, config-files …"""

    status: str
    version: str

    @property
    def installed(self) -> bool:
        """True only for a package that is unpacked and configured."""
        return self.status == "installed"


@dataclass(frozen=True)
class UnitSeen:
    """`systemctl show` of one unit; a unit that does not exist has load_state "not-found"."""

    load_state: str
    active_state: str
    enabled: str  # UnitFileState: enabled, disabled, static, masked, generated … or "" when there is no file
    needs_reload: bool
    active_since: float | None  # seconds since the epoch, None when it never was active

    @property
    def active(self) -> bool:
        """True when running, or when a oneshot that remains has finished."""
        return self.active_state in ("active", "reloading")


@dataclass(frozen=True)
class Observations:
    """The answers to a set of probes. A path or package that was asked for and is not there maps to None."""

    files: Mapping[str, FileSeen | None] = field(default_factory=dict)
    packages: Mapping[str, PackageSeen | None] = field(default_factory=dict)
    units: Mapping[str, UnitSeen] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def merged(self, newer: Observations) -> Observations:
        """These observations with `newer` laid over them."""
        return Observations(
            files={**self.files, **newer.files},
            packages={**self.packages, **newer.packages},
            units={**self.units, **newer.units},
            texts={**self.texts, **newer.texts},
        )
