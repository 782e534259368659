"""What a recording on a host says of secrets, and that it says nothing where nobody watched. No host is booted."""

import subprocess
from pathlib import Path
from typing import cast

import pytest

from tests.host import canaries
from tests.host.throwaway_host import ThrowawayHost

_SECRET = "canary0123456789abcdef01234567"
_STARTED = '71 execve("/usr/bin/podman", ["podman", "secret", "create"], ["HOME=/root"]) = 0\n'
_WRITTEN = f'71 write(1<pipe:[17]>, "{_SECRET}", 30) = 30\n'


class Here:
    """A host whose console is this machine's."""

    name = "here"

    def console_run(self, command: str, *, check: bool) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["/bin/sh", "-c", command], check=check, capture_output=True, text=True)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "watch"
    monkeypatch.setattr(canaries, "_WATCH", str(path))
    return path


def recording() -> canaries.Recording:
    return canaries.Recording(cast(ThrowawayHost, Here()), [_SECRET])


def test_what_was_started_and_written_with_a_secret_is_told(watched: Path) -> None:
    watched.write_text(_STARTED + _WRITTEN)
    assert (recording().started, recording().written_to) == ([], {"pipe"})
    watched.write_text(_STARTED.replace("create", _SECRET))
    assert (len(recording().started), recording().written_to) == (1, set())


def test_a_recording_of_nothing_is_none(watched: Path) -> None:
    with pytest.raises(AssertionError, match="nobody watched"):
        recording()
    for text in ("", _WRITTEN):
        watched.write_text(text)
        with pytest.raises(AssertionError, match="no program was started"):
            recording()
