"""The distribution's own apt sources with the components a role needs, in either of apt's two formats.

Sources of other vendors are left alone, and no mirror is named: components are added to the entries the host has.
Formats: sources.list(5), both the one-line style and deb822.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from labctl.errors import Failed
from labctl.hoststate.host_unit import APT_GET, as_host_unit
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes

_KEY = "apt sources"
_STAMP = "/var/lib/labctl/apt-sources.sha256"
# A vendor's repository that we add is looked after where it is added (signed_repository), lists included.
_EACH_SOURCE = (
    "for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do "
    'case $f in */labctl-*) continue;; esac; [ -f "$f" ] && '
)
_LIST_SOURCES = (
    f'{_EACH_SOURCE} echo "file $f $(base64 -w0 <"$f")"; done; '
    # Sources that were never, or not since their last change, fetched are a difference too.
    f"echo stamp $(cat {_STAMP} 2>/dev/null)"
)
_HASH_SOURCES = f"""{{ {_EACH_SOURCE} cat "$f"; done; }} | sha256sum | cut -d' ' -f1"""
_KEYRINGS = ("debian-archive", "ubuntu-archive")


def add_components(text: str, deb822: bool, codename: str, components: Sequence[str]) -> str:
    """Return `text` (one sources file) with `components` added to the distribution's own binary entries.

    An entry is the distribution's own when its suite is `codename` or one of its pockets (-updates, -security …), it
    carries the component main, and it is signed by the archive keyring or by no key of its own.
    """
    return _deb822(text, codename, components) if deb822 else _one_line(text, codename, components)


def _own_suite(suite: str, codename: str) -> bool:
    return (
        re.fullmatch(re.escape(codename) + r"(-(updates|security|backports|proposed-updates))?", suite)
        is not None
    )


def _own_key(signed_by: str | None) -> bool:
    return signed_by is None or any(keyring in signed_by for keyring in _KEYRINGS)


def _missing(present: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return [component for component in wanted if component not in present]


_ONE_LINE = re.compile(
    r"^(?P<head>\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?\S+\s+(?P<suite>\S+)\s+)(?P<tail>[^#\n]*?)(?P<rest>\s*(?:#.*)?)$"
)


def _one_line(text: str, codename: str, components: Sequence[str]) -> str:
    lines = []
    for line in text.split("\n"):
        match = _ONE_LINE.match(line)
        if match:
            options = dict(pair.split("=", 1) for pair in (match["options"] or "").split() if "=" in pair)
            present = match["tail"].split()
            own = (
                _own_suite(match["suite"], codename)
                and _own_key(options.get("signed-by"))
                and "main" in present
            )
            missing = _missing(present, components) if own else []
            if missing:
                line = f"{match['head']}{' '.join([*present, *missing])}{match['rest']}"
        lines.append(line)
    return "\n".join(lines)


def _deb822(text: str, codename: str, components: Sequence[str]) -> str:
    return "".join(
        _stanza(part, codename, components)
        for part in re.split(r"((?:^[ \t]*\n)+)", text, flags=re.MULTILINE)
    )


def _stanza(text: str, codename: str, components: Sequence[str]) -> str:
    fields = _fields(text)
    present = fields.get("components", "").split()
    own = (
        "deb" in fields.get("types", "").split()
        and fields.get("enabled", "yes").strip().lower() not in ("no", "false", "0")
        and any(_own_suite(suite, codename) for suite in fields.get("suites", "").split())
        and _own_key(fields.get("signed-by"))
        and "main" in present
    )
    missing = _missing(present, components) if own else []
    if not missing:
        return text
    return re.sub(
        r"^(Components:[^\n]*?)[ \t]*$",
        rf"\g<1> {' '.join(missing)}",
        text,
        count=1,
        flags=re.MULTILINE | re.IGNORECASE,
    )


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    current = ""
    for line in stanza.split("\n"):
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t") and current:
            fields[current] += " " + line.strip()
        elif ":" in line:
            key, _, value = line.partition(":")
            current = key.strip().lower()
            fields[current] = value.strip()
    return fields


@dataclass(frozen=True)
class AptSources:
    """The host's sources carry `components`, and apt's lists were fetched since the sources last changed."""

    name: str
    codename: str
    components: tuple[str, ...]

    def probes(self) -> Probes:
        """Every sources file with its content, and the hash of the sources at the last fetch."""
        return Probes(snippets=((_KEY, _LIST_SOURCES + f"; echo now $({_HASH_SOURCES})"),))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Names the files that lack a component, or says that the lists are older than the sources."""
        changes = self._changes(seen)
        if not changes and not self._has_own_entry(seen):
            raise Failed(
                "none of apt's sources is the distribution's own",
                where="/etc/apt/sources.list, /etc/apt/sources.list.d",
                expected=f"an entry for {self.codename} with the component main",
                hint=f"add {' '.join(self.components)} to the distribution's entry by hand, with its own Signed-By",
            )
        if changes:
            return Difference(f"components missing in {', '.join(sorted(changes))}")
        words = dict(
            line.split(" ", 1)
            for line in seen.texts[_KEY].splitlines()
            if line.startswith(("stamp ", "now "))
        )
        if words.get("stamp", "").strip() != words.get("now", "-").strip():
            return Difference("package lists not fetched since the sources changed")
        return None

    def will_change(self, seen: Observations) -> Pending:
        """The sources files."""
        return Pending(paths=frozenset(self._changes(seen)))

    def action(self, seen: Observations) -> Action:
        """Rewrite the files that lack a component (a copy is kept), fetch the lists, remember for which sources."""
        lines = ["set -eu"]
        for path, text in sorted(self._changes(seen).items()):
            quoted, content = shlex.quote(path), base64.b64encode(text.encode()).decode()
            lines.append(
                f"[ -e {quoted}.labctl.save ] || cp -p {quoted} {quoted}.labctl.save\n"
                f"printf %s {content} | base64 -d >{quoted}.labctl-new\n"
                f"chmod --reference={quoted} {quoted}.labctl-new; sync {quoted}.labctl-new\n"
                f"mv -f {quoted}.labctl-new {quoted}"
            )
        lines.append(f"sum=$({_HASH_SOURCES})")
        fetch = f"{APT_GET} -o APT::Update::Error-Mode=any update"
        lines.append(f"( {as_host_unit(fetch)} )")
        lines.append(f'mkdir -p {_STAMP.rsplit("/", 1)[0]}; echo "$sum" >{_STAMP}')
        return Action("\n".join(lines) + "\n")

    def digest(self) -> str:
        """A hash of the release and the wanted components."""
        return digest_of([self.codename, *self.components])

    def _has_own_entry(self, seen: Observations) -> bool:
        """An entry that would take one more component is the distribution's own."""
        return any(_add(path, text, self.codename, ("one-more",)) != text for path, text in _files(seen))

    def _changes(self, seen: Observations) -> dict[str, str]:
        wanted = {
            path: (text, _add(path, text, self.codename, self.components)) for path, text in _files(seen)
        }
        return {path: after for path, (before, after) in wanted.items() if after != before}


def _add(path: str, text: str, codename: str, components: Sequence[str]) -> str:
    return add_components(text, path.endswith(".sources"), codename, components)


def _files(seen: Observations) -> Iterator[tuple[str, str]]:
    """The sources files that were seen: path, content."""
    for line in seen.texts[_KEY].splitlines():
        if line.startswith("file "):
            _, path, encoded = [*line.split(" "), ""][:3]
            yield path, base64.b64decode(encoded).decode("utf-8", "replace")
