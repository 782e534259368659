"""`labctl doctor`: what is wrong, why, and what to do."""

import typer

from labctl.cli import options
from labctl.cli.options import DEFAULT_INVENTORY, Data, Inventory, Json, Limit, Only, Skip, Verbosity


def doctor(  # noqa: PLR0913 - one parameter per option is how typer reads a command
    inventory: Inventory = DEFAULT_INVENTORY,
    only: Only = None,
    skip: Skip = None,
    limit: Limit = None,
    data: Data = None,
    *,
    json: Json = False,
    verbosity: Verbosity = 0,
) -> None:
    """Run the checks of `labctl verify`, and say of each that fails why, and what to do. Changes nothing.

    Exit code 0 when all is well, 3 when a check fails, 1 when a host could not be asked.

    \b
    Examples:
      labctl doctor
      labctl doctor @local
      labctl doctor inventory/home.py --limit aibox --only nvidia_driver --json
    """
    import json as json_module

    from labctl.cli.doctor_document import doctor_document
    from labctl.cli.doctor_text import doctor_text
    from labctl.cli.progress import asked, watched
    from labctl.cli.report import report_of
    from labctl.cli.terminal import here
    from labctl.edges.deploy_runner import DeployRequest, run

    request = DeployRequest(
        mode="doctor",
        inventory=inventory,
        only=options.comma_separated(only),
        skip=options.comma_separated(skip),
        limit=options.comma_separated(limit),
        data=options.key_values(data),
        verbosity=verbosity,
    )
    events = run(request)
    report = report_of("doctor", asked(events) if json else watched(events, verbosity=verbosity))
    if refused := report.refused:
        raise refused.error()
    if json:
        print(json_module.dumps(doctor_document(report), indent=2))
    else:
        terminal = here()
        text = doctor_text(report, inventory=inventory, width=terminal.columns, all_of_it=verbosity > 0)
        print(terminal.spelled(text), end="")
    raise typer.Exit(report.exit_code)
