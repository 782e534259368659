"""`labctl services`: what the catalogue can run, and how one of them is run."""

from typing import Annotated

import typer

from labctl.cli.options import Json


def services(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", show_default=False, help="One service, explained; all of them unless said."
        ),
    ] = None,
    *,
    json: Json = False,
) -> None:
    """List the services of the catalogue by use; explain one: what runs, where its data lies, what it needs.

    \b
    Examples:
      labctl services
      labctl services nextcloud
      labctl services vllm --json
    """
    import json as json_module

    from labctl.cli.services_document import service_document, services_document
    from labctl.cli.services_text import service_text, services_text
    from labctl.edges import catalog

    if name is None:
        found = catalog.services()
        print(json_module.dumps(services_document(found), indent=2) if json else services_text(found))
        return
    service = catalog.known_service(name)
    print(json_module.dumps(service_document(service), indent=2) if json else service_text(service))
