"""The package registries and mirrors that this machine happens to use; none of them may be named in the repository.

They are read from the machine's own configuration, because writing them down here would break the rule.
"""

import functools
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from pip._internal.models.index import PyPI


@functools.cache
def hosts() -> frozenset[str]:
    """Host names of the distribution's mirrors, and of the Python and npm registries: configured and built in."""
    urls = [PyPI.url, f"https://{PyPI.file_storage_domain}", *_pip_urls(), *_npm_urls()]
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    for folder in (Path("/etc/apt"), Path("/etc/apt/sources.list.d")):
        for path in sorted([*folder.glob("*.list"), *folder.glob("*.sources")]):
            urls += apt_urls(
                path.read_text(errors="replace"), deb822=path.suffix == ".sources", codename=codename
            )
    names = {urlsplit(url).hostname for url in urls}
    return frozenset(name for name in names if name and "." in name and not name.replace(".", "").isdigit())


def apt_urls(text: str, *, deb822: bool, codename: str) -> list[str]:
    """The mirrors of the distribution `codename` in one apt sources file; vendors' repositories may be named."""
    if deb822:
        stanzas = (
            dict(re.findall(r"^(\w[\w-]*):\s*(.*)$", stanza, flags=re.MULTILINE))
            for stanza in re.split(r"\n\s*\n", text)
        )
        entries = [(stanza.get("URIs", "").split(), stanza.get("Suites", "").split()) for stanza in stanzas]
    else:
        one_line = re.findall(r"^\s*deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, flags=re.MULTILINE)
        entries = [([url], [suite]) for url, suite in one_line]
    return [
        url for urls, suites in entries for url in urls if any(_is_ours(suite, codename) for suite in suites)
    ]


def _is_ours(suite: str, codename: str) -> bool:
    return suite == codename or suite.startswith((f"{codename}-", f"{codename}/"))


def _pip_urls() -> Iterator[str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        if "index" in line or "find-links" in line:
            yield from re.findall(r"https?://[^\s']+", line)


def _npm_urls() -> Iterator[str]:
    if npm := shutil.which("npm"):
        yield subprocess.run(
            [npm, "config", "get", "registry"], check=True, capture_output=True, text=True
        ).stdout.strip()
