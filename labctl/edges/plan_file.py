"""Plans on disk: read whole, and written so that a file is either the old plan or the new one."""

from pathlib import Path

from labctl.edges.whole_file import write_whole
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


def read_bound_plan(path: str) -> Plan:
    """A plan that can be applied. Raises BadInput also for one whose cards are a rig file's."""
    plan = read_plan(path)
    if not plan.rig.bound:
        raise BadInput(
            "this plan is to look at: its cards have no UUIDs",
            where=path,
            found=f"made for the rig {plan.rig.name}",
            expected="a plan made for the host itself",
            hint="labctl place WORKLOADS --inventory inventory/home.py --out plan.json",
        )
    return plan


def write_plan(path: Path, plan: Plan) -> bool:
    """Whether the file is another now; one that holds this plan already is left alone. Raises Failed."""
    text = dump(plan)
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return False
    except OSError as error:
        raise Failed("the plan cannot be read", where=str(path), found=error.strerror) from error
    write_whole(path, text, "the plan")
    return True
