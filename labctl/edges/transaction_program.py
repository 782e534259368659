"""The program that a host runs to put services in place, as one file; and the units that run it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import labctl.transaction
from labctl.edges.zipped_program import zipped_program
from labctl.transaction import layout

PROGRAM = layout.PROGRAM
UNITS = "/etc/systemd/system"
RECOVERY = "labctl-transaction-recover.service"
_PACKAGE = Path(labctl.transaction.__file__).parent


def unit_of(instance: str) -> str:
    """The unit that runs the transaction `instance`: a stage's id, `generation-N` or `previous`, bound or not."""
    return f"labctl-transaction@{instance}.service"


@cache
def program() -> bytes:
    """A zip file that Python runs: no more is installed on the host than this one file."""
    return zipped_program("transaction", ("errors.py", "mask.py"))


def installed() -> dict[str, tuple[bytes, int]]:
    """What a host needs before it can run a stage: content and mode, by path."""
    units = {f"{UNITS}/{path.name}": (path.read_bytes(), 0o644) for path in (_PACKAGE / "systemd").iterdir()}
    return {PROGRAM: (program(), 0o755), **units}
