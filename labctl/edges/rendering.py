"""A plan rendered with the catalogue that labctl carries."""

from dataclasses import replace
from pathlib import Path

from labctl.edges import catalog
from labctl.edges.whole_file import write_whole
from labctl.errors import BadInput, Failed
from labctl.plan.plan import Plan
from labctl.render.host import Capability, HostFacts
from labctl.render.render import Rendered, render
from labctl.transaction.manifest import FILE_NAME as MANIFEST


def render_for(plan: Plan, host: str, facts: HostFacts) -> Rendered:
    """What the host runs of the plan. facts: without capabilities, which follow from the plan's cards.

    Raises BadInput for a host that the plan does not have, and for what cannot be rendered.
    """
    if host not in (known := [each.name for each in plan.rig.hosts]):
        raise BadInput("no host of this plan", where="--host", found=host, expected=", ".join(known))
    services = {service.name: service for service in catalog.services()}
    return render(plan, host, services, replace(facts, capabilities=_capabilities(plan)))


def write_stage(folder: Path, rendered: Rendered) -> None:
    """Write what the host would be sent: its files and their manifest. Raises Failed.

    Files of an earlier plan would be taken for this one's, so the folder has to be new or empty.
    """
    try:
        if folder.is_dir() and any(folder.iterdir()):
            raise BadInput("the folder is not empty", where=str(folder), hint="name a new one")
        contents = {**rendered.files, MANIFEST: rendered.manifest.text().encode()}
        for path in contents:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed("the folder cannot be made", where=str(folder), found=error.strerror) from error
    for path, content in contents.items():
        write_whole(folder / path, content.decode(), "the file")


def _capabilities(plan: Plan) -> dict[str, Capability]:
    """By card; without those whose model only a rig file knows."""
    names = set(catalog.gpu_names())
    return {
        card.id: catalog.gpu(card.model).capability
        for host in plan.rig.hosts
        for card in host.cards
        if card.model in names
    }
