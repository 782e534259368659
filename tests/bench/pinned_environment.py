"""Virtual environments of programs that are compared with, as pinned by hash, made once and kept outside the clone."""

import hashlib
import sys
import venv
from pathlib import Path

from tests.host.commands import run
from tests.host.locks import locked


def pinned_environment(requirements: Path, folder: Path, contents: str) -> Path:
    """The environment below `folder` for these requirements and this Python. contents: what to say is installed.

    Raises `Failed` when packages cannot be had.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:10]
    environment = folder / digest
    complete = environment / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(environment.with_suffix(".lock")):
        if not complete.exists():
            print(f"tests.bench: installing {contents} (once)", file=sys.stderr)
            venv.create(environment, clear=True, with_pip=True)
            install = [str(environment / "bin/python"), "-m", "pip", "install", "--quiet"]
            run(
                [*install, "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
                + ["-r", str(requirements)]
            )
            complete.touch()
    return environment
