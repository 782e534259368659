"""A tree of small files as one operation: one survey line each, one command to write those that differ."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from labctl.hoststate.observation import FileSeen, Observations
from labctl.hoststate.resource import Action, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes

# A file is written beside its target and renamed over it, so that no reader and no power cut ever sees half of one.
_STAGED = ".labctl-new"


@dataclass(frozen=True)
class File:
    """A regular file with this content, or `content=None` for a path that must not exist."""

    path: str
    content: str | None = field(repr=False)
    mode: str = "644"
    owner: str = "root"
    group: str = "root"

    @property
    def sha256(self) -> str:
        """The digest of the wanted content; "" for a path that must not exist."""
        return "" if self.content is None else hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True)
class Directory:
    """A directory with this mode and owner; what lies in it is not touched."""

    path: str
    mode: str = "755"
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Files:
    """Directories and files that belong together.

    `validate` is a shell command that sees the staged file of its path as "$1" and fails when it is wrong: nothing
    is renamed into place unless every validation passes.
    """

    name: str
    files: tuple[File, ...]
    directories: tuple[Directory, ...] = ()
    validate: tuple[tuple[str, str], ...] = ()

    def probes(self) -> Probes:
        """Every path, and the staged name of each file: a leftover of a killed run is a difference."""
        paths = {file.path for file in self.files} | {directory.path for directory in self.directories}
        return Probes(paths=frozenset(paths | {file.path + _STAGED for file in self.files}))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Names the first paths that differ and in what."""
        reasons = [reason for _, reason in self._differences(seen)]
        if not reasons:
            return None
        more = f" (+{len(reasons) - 2} more)" if len(reasons) > 2 else ""
        return Difference("; ".join(reasons[:2]) + more)

    def will_change(self, seen: Observations) -> Pending:
        """The paths that differ."""
        return Pending(paths=frozenset(path for path, _ in self._differences(seen)))

    def action(self, seen: Observations) -> Action:
        """Write, restore or remove just the paths that differ; contents travel on stdin."""
        differing = {path for path, _ in self._differences(seen)}
        lines = ["set -eu", "umask 077"]
        for directory in self.directories:
            if directory.path in differing:
                path = shlex.quote(directory.path)
                lines.append(
                    f"install -d -m {directory.mode} -o {directory.owner} -g {directory.group} {path}"
                )
        changed = [file for file in self.files if file.path in differing]
        stdin: list[str] = []
        for file in changed:
            if file.content is not None:
                lines += _stage(file, self.validate)
                stdin.append(base64.b64encode(file.content.encode()).decode())
        lines += [_commit(file) for file in changed]
        return Action("\n".join(lines) + "\n", tuple(stdin))

    def digest(self) -> str:
        """A hash of every path, mode, owner and content."""
        parts: list[str] = []
        for directory in self.directories:
            parts += ["d", directory.path, directory.mode, directory.owner, directory.group]
        for file in self.files:
            parts += ["f", file.path, file.mode, file.owner, file.group, file.sha256]
        return digest_of(parts)

    def _differences(self, seen: Observations) -> Iterator[tuple[str, str]]:
        for directory in self.directories:
            reason = _directory_difference(directory, seen.files[directory.path])
            if reason:
                yield directory.path, reason
        for file in self.files:
            reason = _file_difference(file, seen.files[file.path])
            if reason is None and seen.files[file.path + _STAGED] is not None:
                reason = f"{file.path}{_STAGED} left by an interrupted run"
            if reason:
                yield file.path, reason


def _directory_difference(wanted: Directory, seen: FileSeen | None) -> str | None:
    if seen is None:
        return f"{wanted.path} missing"
    if seen.kind != "directory":
        return f"{wanted.path} is a {seen.kind}, not a directory"
    return _ownership_difference(wanted, seen)


def _file_difference(wanted: File, seen: FileSeen | None) -> str | None:
    if wanted.content is None:
        return None if seen is None else f"{wanted.path} should not exist"
    if seen is None:
        return f"{wanted.path} missing"
    if seen.kind != "regular file":
        return f"{wanted.path} is a {seen.kind}, not a file"
    if seen.sha256 != wanted.sha256:
        return f"{wanted.path} content differs"
    return _ownership_difference(wanted, seen)


def _ownership_difference(wanted: File | Directory, seen: FileSeen) -> str | None:
    if seen.mode != wanted.mode:
        return f"{wanted.path} mode {seen.mode}, not {wanted.mode}"
    if (seen.owner, seen.group) != (wanted.owner, wanted.group):
        return f"{wanted.path} owned by {seen.owner}:{seen.group}, not {wanted.owner}:{wanted.group}"
    return None


def _stage(file: File, validate: tuple[tuple[str, str], ...]) -> list[str]:
    staged = shlex.quote(file.path + _STAGED)
    parent = shlex.quote(file.path.rsplit("/", 1)[0] or "/")
    lines = [
        f"[ -d {parent} ] || ( umask 022; mkdir -p {parent} )",
        f'rm -rf {staged}; read -r content; printf %s "$content" | base64 -d >{staged}',
        f"chown {file.owner}:{file.group} {staged}; chmod {file.mode} {staged}",
    ]
    for path, command in validate:
        if path == file.path:
            lines.append(f"sh -c {shlex.quote(command)} validate {staged} || {{ rm -f {staged}; exit 1; }}")
    # A rename is atomic but not durable: without this a power cut can leave the new name with no content.
    lines.append(f"sync {staged}")
    return lines


def _commit(file: File) -> str:
    path, staged = shlex.quote(file.path), shlex.quote(file.path + _STAGED)
    if file.content is None:
        return f"rm -f {path} {staged}"
    refuse = f"echo {path} is a directory, a file is wanted there: move it away >&2; exit 1"
    return f"[ ! -d {path} ] || [ -L {path} ] || {{ {refuse}; }}; mv -fT {staged} {path}"
