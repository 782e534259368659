"""The plan of tests/cases/render, which has every service of the catalogue, and what is rendered of it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.edges import catalog
from labctl.plan.plan import Plan
from labctl.plan.plan_json import load
from labctl.render.host import HostFacts
from labctl.render.podman import Version
from labctl.render.render import Rendered, render

CASES = Path(__file__).parents[2] / "cases" / "render"
HOST = "aibox"
SERVICES = {service.name: service for service in catalog.services()}
_WORKLOAD = re.compile(r"^# Written by labctl for the workload ([a-z0-9-]+)[.,]")


def case_plan() -> Plan:
    return load((CASES / "plan.json").read_text())


def facts(podman: Version = (5, 4), **more: Any) -> HostFacts:
    return HostFacts(podman, cores=16, time_zone="Europe/Berlin", **more)


def rendered(plan: Plan, found: HostFacts | None = None, host: str = HOST) -> Rendered:
    return render(plan, host, SERVICES, found or facts())


def texts(made: Rendered) -> dict[str, str]:
    """Every file but the plan."""
    return {path: content.decode() for path, content in made.files.items() if path != "plan.json"}


def workload_of(text: str) -> str:
    """Whose file it is, by its first line."""
    found = _WORKLOAD.match(text)
    assert found, text[:80]
    return found[1]


def by_workload(made: Rendered) -> Mapping[str, str]:
    """Every workload's files as one text."""
    found: dict[str, str] = {}
    for path, text in sorted(texts(made).items()):
        name = workload_of(text)
        found[name] = found.get(name, "") + f"──── {path}\n{text}\n"
    return found


def containers(made: Rendered) -> dict[str, str]:
    return {path: text for path, text in texts(made).items() if path.endswith(".container")}


def lines(text: str, key: str) -> list[str]:
    """The values of a key."""
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]
