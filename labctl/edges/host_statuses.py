"""Asks hosts what runs on them, and holds it against the generation in force there."""

from __future__ import annotations

from labctl.apply import survey
from labctl.edges import machines
from labctl.edges.held_shell import HeldShell
from labctl.edges.looking import begin_look
from labctl.errors import BadInput, Failed, LabctlError
from labctl.plan.plan import Plan
from labctl.plan.plan_json import load
from labctl.status import question
from labctl.status.host import HostStatus, asked, host_status
from labctl.transaction.manifest import PLAN_NAME


def status_of(name: str, shell: HeldShell | LabctlError) -> HostStatus:
    """Of one host; two remote commands. One that does not answer says why."""
    if isinstance(shell, LabctlError):
        return HostStatus(name, problem=without_name(shell, name))
    try:
        seen = surveyed(shell)
        if seen.generation is None:
            about = seen.status or {}
            return HostStatus(
                name, open=about.get("open"), running=about.get("running"), last=about.get("last")
            )
        plan = plan_of(seen, name)
        answer = output_of(shell, question.script(asked(seen.generation, plan)))
        now = question.parse(answer)
        live = machines.read(_known_as(name, plan), now.cards)
        return host_status(seen, plan, now, live)
    except (Failed, BadInput) as problem:
        return HostStatus(name, problem=without_name(problem, name))


def surveyed(shell: HeldShell) -> survey.Seen:
    """What is in force on a host, and what lies there."""
    return begin_look(shell)()


def plan_of(seen: survey.Seen, host: str) -> Plan:
    """The plan in force. Raises BadInput where it cannot be read."""
    assert seen.generation is not None, host
    return load(seen.generation.files.get(PLAN_NAME, b""), f"{host}: {PLAN_NAME}")


def output_of(shell: HeldShell, script: str) -> str:
    """What a script prints."""
    return shell.run(script).stdout.decode("utf-8", "replace")


def without_name(problem: LabctlError, host: str) -> str:
    """Its one line, for whoever has named the host already."""
    return str(problem).removeprefix(f"{host}: ")


def _known_as(name: str, plan: Plan) -> str:
    """`@local` goes by the plan's name where that has one host, else by its own."""
    hosts = [host.name for host in plan.rig.hosts]
    return hosts[0] if name.startswith("@") and len(hosts) == 1 else name
