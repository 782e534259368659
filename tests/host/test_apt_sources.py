"""The guests' archive is the machine's own, in the format of the guest's release."""

import subprocess
from collections.abc import Sequence

import pytest

from labctl.errors import Failed
from tests.host import apt_sources
from tests.host.apt_sources import Archive, machine_archive

_TARGETS = """\
Debian|bookworm|http://deb.example/debian/
Debian|bookworm-updates|http://deb.example/debian/
Debian|bookworm-security|http://security.example/debian-security/
Somebody Else|bookworm|https://apt.example/somebody/
"""
_CONFIGURATION = """\
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::mirror.example "DIRECT";
Acquire::Languages "de";
APT::Install-Recommends "0";
"""


def _machine_says(monkeypatch: pytest.MonkeyPatch, targets: str) -> None:
    def answer(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        text = {"apt-get": targets, "apt-config": _CONFIGURATION}[argv[0]]
        return subprocess.CompletedProcess(argv, 0, text, "")

    monkeypatch.setattr(apt_sources, "run", answer)
    monkeypatch.delenv(apt_sources.MIRROR_VARIABLE, raising=False)


def test_debians_archive_is_found_among_others(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_says(monkeypatch, _TARGETS)

    archive = machine_archive()

    assert archive.mirror == "http://deb.example/debian"
    assert archive.security_mirror == "http://security.example/debian-security"


def test_how_archives_are_reached_and_dated_is_inherited_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _machine_says(monkeypatch, _TARGETS)

    assert list(machine_archive().apt_settings) == _CONFIGURATION.splitlines()[:3]


def test_a_machine_without_security_archive_has_guests_without(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_says(monkeypatch, _TARGETS.splitlines()[0])

    assert machine_archive().security_mirror is None
    assert "security" not in machine_archive().one_line("bookworm") + machine_archive().deb822("trixie")


def test_without_any_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine_says(monkeypatch, "Ubuntu|noble|http://ubuntu.example/ubuntu/\n")
    with pytest.raises(Failed, match=apt_sources.MIRROR_VARIABLE):
        machine_archive()

    monkeypatch.setenv(apt_sources.MIRROR_VARIABLE, "http://mine.example/debian/")
    assert machine_archive().mirror == "http://mine.example/debian"


def test_both_formats_have_main_only() -> None:
    archive = Archive("http://deb.example/debian", "http://security.example/debian-security", ())

    assert archive.one_line("bookworm") == (
        "deb http://deb.example/debian bookworm main\n"
        "deb http://deb.example/debian bookworm-updates main\n"
        "deb http://security.example/debian-security bookworm-security main\n"
    )
    signed = "Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    assert archive.deb822("trixie") == (
        f"Types: deb\nURIs: http://deb.example/debian\nSuites: trixie trixie-updates\n{signed}\n"
        f"Types: deb\nURIs: http://security.example/debian-security\nSuites: trixie-security\n{signed}"
    )
