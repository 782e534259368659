"""Which Debian archive the guests use: the one this machine's own apt uses, asked at run time."""

import os
import re
from dataclasses import dataclass

from labctl.errors import Failed
from tests.host.commands import run

MIRROR_VARIABLE = "LABCTL_TEST_DEBIAN_MIRROR"
_FORMAT = "$(ORIGIN)|$(RELEASE)|$(REPO_URI)"
# How this machine reaches archives and judges their dates holds for its guests too.
_INHERITED = re.compile(r"^Acquire::(Check-Date|Check-Valid-Until|Retries|https?::Proxy)\b.*;$")


@dataclass(frozen=True)
class Archive:
    """mirror, security_mirror: base URLs without the trailing slash; None where the machine has none.

    apt_settings: lines for apt.conf, each ending in a semicolon.
    """

    mirror: str
    security_mirror: str | None
    apt_settings: tuple[str, ...]

    def one_line(self, suite: str) -> str:
        """sources.list as Debian 12 and older have it, `main` only."""
        lines = [f"deb {self.mirror} {suite} main", f"deb {self.mirror} {suite}-updates main"]
        if self.security_mirror:
            lines.append(f"deb {self.security_mirror} {suite}-security main")
        return "\n".join(lines) + "\n"

    def deb822(self, suite: str) -> str:
        """debian.sources as Debian 13 and newer have it, `main` only."""
        stanzas = [_stanza(self.mirror, f"{suite} {suite}-updates")]
        if self.security_mirror:
            stanzas.append(_stanza(self.security_mirror, f"{suite}-security"))
        return "\n".join(stanzas)


def machine_archive() -> Archive:
    """Read this machine's apt configuration. Raises `Failed` when no Debian archive is in it."""
    targets = run(["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"]).stdout
    mirror = os.environ.get(MIRROR_VARIABLE)
    security_mirror = None
    for line in targets.splitlines():
        origin, release, uri = line.split("|")
        if origin != "Debian" or not uri.startswith(("http://", "https://")):
            continue
        if release.endswith("-security"):
            security_mirror = security_mirror or uri
        elif "-" not in release:
            mirror = mirror or uri
    if mirror is None:
        raise Failed(
            "this machine's apt knows no Debian archive",
            hint=f"On Debian run `apt-get update`; elsewhere set {MIRROR_VARIABLE} to a Debian mirror's URL",
        )
    settings = run(["apt-config", "dump"]).stdout.splitlines()
    return Archive(
        mirror.rstrip("/"),
        security_mirror.rstrip("/") if security_mirror else None,
        tuple(line for line in settings if _INHERITED.match(line)),
    )


def _stanza(uri: str, suites: str) -> str:
    return (
        f"Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )
