"""Which units of a host load which of its models, by the plan that is in force there."""

from labctl.edges import catalog
from labctl.edges.held_shell import HeldShell
from labctl.errors import Failed
from labctl.plan.plan_json import load
from labctl.render import names
from labctl.render.model_need import needed_models
from labctl.transaction.layout import Layout
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import PLAN_NAME, parse


def units_by_model(host: str, shell: HeldShell) -> dict[str, tuple[str, ...]]:
    """By place below the folder of models. Empty where nothing was applied yet.

    Raises BadInput and Failed where what is in force cannot be read: then nobody can say what is in use.
    """
    current = Layout().current
    texts = {}
    for name in (PLAN_NAME, MANIFEST):
        path = str(current / name)
        done = shell.run(f"[ ! -e {current} ] || cat {path}")
        if done.exit_status:
            raise Failed("the plan in force cannot be read", where=host, found=path)
        texts[name] = done.stdout
    if not texts[MANIFEST]:
        return {}
    plan = load(texts[PLAN_NAME], f"{host}: {current / PLAN_NAME}")
    # The plan may be of several hosts; this one runs what has a unit here.
    units = parse(texts[MANIFEST].decode(), f"{host}: {current / MANIFEST}").units
    workloads = plan.workloads.keys() & {unit.name for unit in units}
    services = {service.name: service for service in catalog.services()}
    return {
        need.place: tuple(names.unit(names.stem(workload)) for workload in need.workloads)
        for need in needed_models(plan, services, workloads)
    }
