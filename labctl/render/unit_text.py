"""The text of one unit file: sections, keys, and values quoted for who reads them."""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field

from labctl.errors import BadInput
from labctl.render import podman

_PLAIN = re.compile(r"[A-Za-z0-9@_+=:,./%$-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


@dataclass
class UnitText:
    """A file in the making. version: of the Podman that will read it."""

    version: podman.Version
    _sections: dict[str, list[str]] = field(default_factory=dict)

    def say(self, section: str, key: str, value: str | int) -> None:
        """One more line. Raises BadInput for a value that would not be one."""
        if len(str(value).splitlines()) > 1 or str(value).endswith("\\"):
            raise BadInput(
                "this cannot stand in a unit", where=key, found=repr(value)[:60], expected="one line"
            )
        key, written = podman.line(section, key, str(value), self.version)
        self._sections.setdefault(section, []).append(f"{key}={written}")

    def remark(self, section: str, text: str) -> None:
        """A comment, on a line of its own."""
        self._sections.setdefault(section, []).append(f"# {one_line(text)}")

    def text(self, header: Iterable[str]) -> str:
        """The whole file, sections in the order in which they were begun."""
        blocks = ["".join(f"# {one_line(each)}\n" for each in header)]
        for section, lines in self._sections.items():
            blocks.append("\n".join((f"[{section}]", *lines)) + "\n")
        return "\n".join(blocks)


def one_line(text: str) -> str:
    """Without line ends, so that nothing a person wrote begins a line of its own."""
    return " ".join(text.split())


def literal(text: str) -> str:
    """As systemd takes it to mean itself: neither a specifier nor a variable."""
    return text.replace("%", "%%").replace("$", "$$")


def word(text: str) -> str:
    """One word of a command line or an assignment, quoted where it has to be."""
    escaped = literal(text)
    if _PLAIN.fullmatch(escaped):
        return escaped
    return '"' + "".join(_ESCAPES.get(each, each) for each in escaped) + '"'


def words(many: Iterable[str]) -> str:
    """A command line."""
    return " ".join(word(each) for each in many)


def shell(many: Iterable[str]) -> str:
    """A command line for the container's shell, without the double quotes that Podman before 5.8.2 loses."""
    quoted = [each if shlex.quote(each) == each else "'" + each.replace("'", "'\\''") + "'" for each in many]
    return literal(" ".join(quoted))
