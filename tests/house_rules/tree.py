"""The files the house rules are about: everything that is, or would be, committed."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def files(*suffixes: str) -> list[Path]:
    """Tracked and new files of the repository with one of these suffixes, all files without any; never ignored ones."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = _git(*command[1:]).split("\0")
    paths = [ROOT / name for name in listed if name]
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]


def commit_messages() -> str:
    """Every commit message that this clone has."""
    return _git("log", "--format=%B")


def _git(*arguments: str) -> str:
    # `sudo make test` in somebody else's clone is fine: git would call that dubious.
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
