"""The program that a host runs to put services in place, as one file; and the units that run it."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

import labctl.transaction
from labctl.transaction import layout

PROGRAM = layout.PROGRAM
UNITS = "/etc/systemd/system"
RECOVERY = "labctl-transaction-recover.service"
_PACKAGE = Path(labctl.transaction.__file__).parent
_BESIDE = ("__init__.py", "errors.py", "mask.py")
_MAIN = b"import sys\nfrom labctl.transaction.program import main\nsys.exit(main())\n"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file knows; with it the same sources always make the same bytes."""


def unit_of(instance: str) -> str:
    """The unit that runs the transaction `instance`: a stage's id, `generation-N` or `previous`."""
    return f"labctl-transaction@{instance}.service"


@cache
def program() -> bytes:
    """A zip file that Python runs: no more is installed on the host than this one file."""
    content = io.BytesIO()
    content.write(b"#!/usr/bin/python3 -I\n")
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        files = {f"labctl/{name}": (_PACKAGE.parent / name).read_bytes() for name in _BESIDE}
        files |= {f"labctl/transaction/{path.name}": path.read_bytes() for path in _PACKAGE.glob("*.py")}
        for name, text in sorted({"__main__.py": _MAIN, **files}.items()):
            archive.writestr(zipfile.ZipInfo(name, _LONG_AGO), text, zipfile.ZIP_DEFLATED)
    return content.getvalue()


def installed() -> dict[str, tuple[bytes, int]]:
    """What a host needs before it can run a stage: content and mode, by path."""
    units = {f"{UNITS}/{path.name}": (path.read_bytes(), 0o644) for path in (_PACKAGE / "systemd").iterdir()}
    return {PROGRAM: (program(), 0o755), **units}
