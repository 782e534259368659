"""Plans on disk: read whole, and written so that a file is either the old plan or the new one."""

from pathlib import Path

from labctl.edges.plan_content import plan_content
from labctl.edges.whole_file import write_whole
from labctl.errors import BadInput, Failed
from labctl.plan.plan import Plan
from labctl.plan.plan_json import dump, load


def read_plan(path: str) -> Plan:
    """The plan in a file. Raises BadInput with the file and the place in it."""
    return load(plan_content(path), path)


def read_bound_plan(path: str) -> Plan:
    """A plan that can be applied. Raises BadInput also for one whose cards are a rig file's."""
    return bound_plan(plan_content(path), path)


def bound_plan(content: bytes, path: str) -> Plan:
    """The same, of what was in the file."""
    plan = load(content, path)
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
