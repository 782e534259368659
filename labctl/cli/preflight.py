"""`labctl preflight`: which driver a host would get and why, before anything changes."""

from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.options import Json

if TYPE_CHECKING:
    from labctl.driver.decision import Request

_BRANCHES = (400, 999)


def preflight(
    inventory: Annotated[
        str | None,
        typer.Argument(
            metavar="INVENTORY",
            show_default=False,
            help="A pyinfra inventory file, or FILE:HOST; this machine unless said.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="nvidia|distribution", help="Only from there; the table chooses unless said."),
    ] = None,
    branch: Annotated[
        str | None, typer.Option(metavar="N", help="Only this branch, as 580; the table chooses unless said.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Say which NVIDIA driver and CUDA toolkit each host would get, and what stands in the way. Changes nothing.

    Exit code 0 when a deploy may begin, 3 when something stands in the way, 1 when a host did not answer.

    \b
    Examples:
      labctl preflight
      labctl preflight inventory/home.py:aibox
      labctl preflight inventory/home.py --source distribution --json
    """
    import json as json_module

    from labctl.cli.preflight_document import preflight_document
    from labctl.cli.preflight_text import preflight_text
    from labctl.edges.preflights import Unreached, preflights
    from labctl.errors import ANSWER_IS_NO, DONE, FAILED

    found = preflights(inventory, _request(source, branch))
    if any(isinstance(each, Unreached) for each in found):
        code = FAILED
    elif all(not isinstance(each, Unreached) and each.go for each in found):
        code = DONE
    else:
        code = ANSWER_IS_NO
    if json:
        print(json_module.dumps(preflight_document(found, code), indent=2))
    else:
        print(preflight_text(found), end="")
    raise typer.Exit(code)


def _request(source: str | None, branch: str | None) -> "Request":
    from labctl.driver.decision import Request
    from labctl.errors import BadInput

    if source not in (None, "nvidia", "distribution"):
        raise BadInput("no such source", where="--source", found=source, expected="nvidia or distribution")
    low, high = _BRANCHES
    if branch is not None and not (branch.isdecimal() and low <= int(branch) <= high):
        raise BadInput(
            "not a branch of NVIDIA's driver", where="--branch", found=branch, expected="a number, as 580"
        )
    return Request(
        source="nvidia" if source == "nvidia" else "distribution" if source else None,
        branch=int(branch) if branch else None,
    )
