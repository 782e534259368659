"""Plans on disk: read whole, and written so that a file is either the old plan or the new one."""

import os
from pathlib import Path

from labctl.errors import BadInput, Failed
from labctl.plan.plan import Plan
from labctl.plan.plan_json import MOST_BYTES, dump, load


def read_plan(path: str) -> Plan:
    """The plan in a file. Raises BadInput with the file and the place in it."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(
            "the plan cannot be read",
            where=path,
            found=error.strerror,
            hint="`labctl place WORKLOADS --out plan.json` writes one",
        ) from error
    return load(content, path)


def write_plan(path: Path, plan: Plan) -> bool:
    """Whether the file is another now; one that holds this plan already is left alone. Raises Failed.

    A link stays one; what is no file (/dev/stdout) is written to, and nothing takes its place.
    """
    content, target = dump(plan).encode(), path.resolve()
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        if target.exists() and not target.is_file():
            path.write_bytes(content)
            return True
        if target.is_file() and target.read_bytes() == content:
            return False
        try:
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise Failed("the plan cannot be written", where=str(path), found=error.strerror) from error
    return True
