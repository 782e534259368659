"""A plan in force on a host, and what systemd and Podman say of it, put together by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labctl.apply.generation import Generation
from labctl.apply.survey import Seen
from labctl.plan.plan import Plan, PlannedPort
from labctl.status.host import HostStatus, host_status
from labctl.status.question import Now, UnitNow
from labctl.transaction.decision import FileSeen
from tests.labctl.plan.machines import machine
from tests.labctl.plan.plans import FIRST, SECOND, claims, host, plan, runs
from tests.labctl.render.cases import rendered

AT = 1_800_000_000
VARIANT = {"engine": "llama.cpp", "quant": "Q8_0", "context": 8192, "parallel": 1, "kv_type": "f16"}


def home() -> Plan:
    """Every kind: on a card, beside others, at a time of its own, in the place of another, with companions."""
    return plan(
        {
            "chat": runs(
                cards=claims(first=9000),
                model="qwen2.5-7b",
                variant=VARIANT,
                ports=(PlannedPort(8080, 20001),),
            ),
            "images": runs(
                "container",
                image="localhost/images:1",
                cards=claims(second=7000),
                variant={"vram_mib": 7000},
                volumes={"data": "/data"},
            ),
            "files": runs("nextcloud", ports=(PlannedPort(80, 20002),), data="/srv/nextcloud"),
            "ui": runs("open-webui", uses=("chat",), ports=(PlannedPort(8080, 20003),)),
            "tune": runs(
                "axolotl",
                model="qwen2.5-1.5b",
                cards=claims(first=4000),
                variant={
                    "engine": "training",
                    "quant": "nf4",
                    "context": 1024,
                    "parallel": 1,
                    "kv_type": "f16",
                },
                training={"method": "qlora", "batch": 1, "sequence": 1024, "optimizer": "adamw", "rank": 16},
                when="23:30-05:00",
                displaces=("chat",),
            ),
        },
        host(FIRST, SECOND, ram_gib=126),
    )


def generation(there: Plan) -> Generation:
    """As an apply leaves it."""
    made = rendered(there)
    return Generation(made.manifest, made.files)


def seen(there: Plan, **more: Any) -> Seen:
    """A host with that in force, and its files as they were written."""
    made = generation(there)
    status = {
        "current": 3,
        "generations": [{"number": 3, "created_at": "2026-11-21T12:01:00+00:00"}],
        "open": None,
        "running": None,
        "last": None,
    }
    return Seen(
        "aibox",
        generation=made,
        installed={path: FileSeen(file.sha256, file.mode) for path, file in made.manifest.trees.items()},
        status=more.pop("status", status),
        **more,
    )


RUNS = UnitNow(
    "loaded", "active", "running", kind="notify", changed_at=AT - 60, active_since=AT - 60, invocation="1"
)
STOPPED = UnitNow("loaded", "inactive", kind="notify", changed_at=AT - 10)
JOB = replace(STOPPED, kind="oneshot")


def now(there: Plan, units: Mapping[str, UnitNow] | None = None, **more: Any) -> Now:
    """All runs and is healthy, but what waits for its time. units: otherwise, by workload or container."""
    found = {unit.unit: RUNS for unit in generation(there).manifest.units}
    containers = {
        str(unit.container): {"State": {"Health": {"Status": "healthy"}}}
        for unit in generation(there).manifest.units
        if unit.container and unit.health == "notify"
    }
    of_jobs = {f"labctl-{name}.service": JOB for name, each in there.workloads.items() if each.when}
    otherwise = {f"labctl-{name}.service": unit for name, unit in (units or {}).items()}
    containers |= more.pop("containers", {})
    return Now(AT, {**found, **of_jobs, **otherwise}, containers, more.pop("tokens_per_second", {}), "")


def status(
    there: Plan,
    units: Mapping[str, UnitNow] | None = None,
    held: Mapping[int, Mapping[str, int | None]] | None = None,
    at_host: Seen | None = None,
    **more: Any,
) -> HostStatus:
    """The host held against the plan. held: MiB by unit, by card."""
    usual = {0: {"labctl-chat.service": 8800}, 1: {"labctl-images.service": 6000}}
    live = machine({index: dict(units) for index, units in (usual if held is None else held).items()})
    return host_status(at_host or seen(there), there, now(there, units, **more), live)
