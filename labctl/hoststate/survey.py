"""One remote command that observes everything a set of resources wants to know.

Wall time of a deploy over SSH is remote commands times round trip (facts: 29 operations cost plain pyinfra 79),
so all probes travel in one shell script. Its output is framed by lines that no probe prints, because each carries a
digest of the script's own probes.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from labctl.errors import Failed
from labctl.hoststate.observation import FileSeen, Observations, PackageSeen, UnitSeen

_UNIT_PROPERTIES = "Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload,ActiveEnterTimestamp"


@dataclass(frozen=True)
class Probes:
    """What to observe: paths, package names, unit names, and shell snippets by key (their stdout is the answer)."""

    paths: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    snippets: tuple[tuple[str, str], ...] = ()

    def __or__(self, other: Probes) -> Probes:
        mine: Mapping[str, str] = dict(self.snippets)
        return Probes(
            self.paths | other.paths,
            self.packages | other.packages,
            self.units | other.units,
            tuple(sorted({**mine, **dict(other.snippets)}.items())),
        )

    def __bool__(self) -> bool:
        return bool(self.paths or self.packages or self.units or self.snippets)


def union(probes: Iterable[Probes]) -> Probes:
    """All of `probes` as one."""
    total = Probes()
    for one in probes:
        total |= one
    return total


def script(probes: Probes) -> str:
    """Return the POSIX shell script whose output `parse` reads. It changes nothing and always exits 0."""
    mark = _mark(probes)
    lines = ["export LC_ALL=C"]
    if probes.paths:
        paths = " ".join(shlex.quote(path) for path in sorted(probes.paths))
        # One process for all paths, not one each: eight hosts are often guests of one machine.
        lines += [
            f"echo {mark} files",
            rf"find {paths} -maxdepth 0 -printf '%y|%m|%u|%g|%C@|%p\n' 2>/dev/null",
            f"echo {mark} sums",
            f"find {paths} -maxdepth 0 -type f -print0 2>/dev/null | xargs -0r sha256sum -z | tr '\\0' '\\n'",
        ]
    if probes.packages:
        names = " ".join(shlex.quote(name) for name in sorted(probes.packages))
        lines += [
            f"echo {mark} packages",
            f"dpkg-query -W -f '${{Package}}|${{db:Status-Status}}|${{Version}}\\n' {names} 2>/dev/null",
        ]
    if probes.units:
        units = " ".join(shlex.quote(unit) for unit in sorted(probes.units))
        lines += [
            f"echo {mark} units",
            f"systemctl show --timestamp=us+utc -p {_UNIT_PROPERTIES} {units} 2>/dev/null",
        ]
    for key, snippet in probes.snippets:
        lines += [f"echo {mark} text {shlex.quote(key)}", f"( {snippet}\n) 2>/dev/null | base64"]
    lines.append(f"echo {mark} end")
    return "\n".join(lines) + "\n"


def parse(probes: Probes, output: str) -> Observations:
    """Read what `script(probes)` printed.

    Raises Failed when the output ends early (a cut connection, a full process table): half an answer is no answer.
    """
    sections = _sections(_mark(probes), output)
    return Observations(
        files=dict.fromkeys(probes.paths) | _files(sections.get("files", []), sections.get("sums", [])),
        packages=dict.fromkeys(probes.packages) | _packages(sections.get("packages", [])),
        units=dict.fromkeys(probes.units, _NO_UNIT) | _units(sections.get("units", [])),
        texts={
            key: base64.b64decode("".join(sections.get(f"text {key}", []))).decode("utf-8", "replace")
            for key, _ in probes.snippets
        },
    )


_KINDS = {"f": "regular file", "d": "directory", "l": "symbolic link"}  # of find's %y
_NO_UNIT = UnitSeen("not-found", "inactive", "", needs_reload=False, active_since=None)


def _mark(probes: Probes) -> str:
    wanted = repr((sorted(probes.paths), sorted(probes.packages), sorted(probes.units), probes.snippets))
    return "@@" + hashlib.sha256(wanted.encode()).hexdigest()[:24]


def _sections(mark: str, output: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for line in output.split("\n"):  # a path may hold what splitlines() takes for a line's end
        if line.startswith(mark + " "):
            current = sections.setdefault(line[len(mark) + 1 :], [])
        else:
            current.append(line)
    if "end" not in sections:
        raise Failed(
            "the host did not finish answering what state it is in",
            found=f"{len(output)} characters of output without an end",
            hint="check the connection and that the host is not out of memory or processes, then run again",
        )
    return sections


def _files(lines: list[str], sums: list[str]) -> dict[str, FileSeen | None]:
    digests = {line[66:]: line[:64] for line in sums if line}  # "<64 digits>  <path>"
    seen: dict[str, FileSeen | None] = {}
    for line in lines:
        letter, mode, owner, group, changed, path = line.split("|", 5)
        kind = _KINDS.get(letter, "special file")
        seen[path] = FileSeen(kind, mode, owner, group, float(changed), digests.get(path))
    return seen


def _packages(lines: list[str]) -> dict[str, PackageSeen | None]:
    seen: dict[str, PackageSeen | None] = {}
    for line in lines:
        name, status, version = line.split("|", 2)
        if status != "not-installed":
            seen[name] = PackageSeen(status, version)
    return seen


def _units(lines: list[str]) -> dict[str, UnitSeen]:
    seen: dict[str, UnitSeen] = {}
    values: dict[str, str] = {}
    for line in [*lines, ""]:
        if line:
            key, _, value = line.partition("=")
            values[key] = value
        elif values:
            seen[values["Id"]] = UnitSeen(
                load_state=values.get("LoadState", "not-found"),
                active_state=values.get("ActiveState", "inactive"),
                enabled=values.get("UnitFileState", ""),
                needs_reload=values.get("NeedDaemonReload") == "yes",
                active_since=_timestamp(values.get("ActiveEnterTimestamp", "")),
            )
            values = {}
    return seen


def _timestamp(text: str) -> float | None:
    """Seconds since the epoch of systemd's `us+utc` form: "Sat 2026-11-21 02:54:17.123456 UTC"."""
    parts = text.split()
    if len(parts) != 4:
        return None
    return datetime.strptime(f"{parts[1]} {parts[2]} +0000", "%Y-%m-%d %H:%M:%S.%f %z").timestamp()
