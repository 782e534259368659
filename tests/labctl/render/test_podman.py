"""Versions of Podman, and what is said to each."""

import pytest

from labctl.errors import BadInput
from labctl.render import podman


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("podman version 5.4.2", (5, 4)),
        ("4.9.3+ds1-1ubuntu0.2", (4, 9)),
        ("5.7", (5, 7)),
        ("10.0.1", (10, 0)),
    ],
)
def test_a_version_is_read_from_what_programs_and_people_write(text: str, version: podman.Version) -> None:
    assert podman.version(text) == version


@pytest.mark.parametrize(
    ("text", "message"), [("4.3.1", "too old"), ("five", "no version"), ("", "no version")]
)
def test_others_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        podman.version(text)


def test_a_key_that_came_later_becomes_an_argument() -> None:
    assert podman.line("Container", "StopTimeout", "30", (5, 0)) == ("StopTimeout", "30")
    assert podman.line("Container", "StopTimeout", "30", (4, 9)) == ("PodmanArgs", "--stop-timeout=30")
    assert podman.line("Container", "Notify", "healthy", (4, 9)) == ("PodmanArgs", "--sdnotify=healthy")
    assert podman.line("Service", "StopTimeout", "30", (4, 9)) == ("StopTimeout", "30")


def test_a_key_that_nobody_looked_up_is_never_written() -> None:
    with pytest.raises(KeyError):
        podman.line("Container", "Memory", "1g", (5, 7))
