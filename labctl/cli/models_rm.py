"""What `labctl models rm` does."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.cli.models_document import list_document
from labctl.cli.models_text import list_text, size, wrapped
from labctl.edges.model_hosts import Seen, model_hosts, seen
from labctl.errors import DONE, AnswerIsNo, BadInput, Failed, LabctlError
from labctl.model_store.lying import Lying


@dataclass(frozen=True)
class Asked:
    """The command line, as it was written."""

    name: str
    inventory: str
    force: bool
    yes: bool
    as_json: bool


def answer(asked: Asked) -> int:
    """Ask, remove, and show what is left; returns the exit code.

    Raises BadInput for a name that is nobody's or several models', AnswerIsNo for one in use, Failed where a host does
    not answer: nothing is removed then, for its plan may be the one that needs it.
    """
    with model_hosts(asked.inventory) as hosts:
        found = seen(hosts)
        for each in found.values():
            if isinstance(each, LabctlError):
                raise each
        known = {name: each for name, each in found.items() if isinstance(each, Seen)}
        chosen = {name: _one(asked.name, each) for name, each in known.items() if _matching(asked.name, each)}
        if not chosen:
            raise _no_such(asked.name, known)
        for name, model in chosen.items():
            _refuse_used(asked, name, known[name], model)
        if not asked.yes and not _agreed(chosen):
            raise Failed("stopped at a question; nothing was removed")
        left: dict[str, Seen | LabctlError] = {}
        for name, model in chosen.items():
            each = known[name]
            left[name] = Seen(each.host, each.host.models.remove(model.place), each.units)
    if asked.as_json:
        print(json.dumps(list_document(left, DONE), indent=2))
    else:
        print(list_text(left), end="")
    return DONE


def _matching(name: str, on: Seen) -> list[Lying]:
    """The one of this name, else all in the folder of this name."""
    exact = [each for each in on.folder.models if name in (each.place, each.loaded_as)]
    return exact or [each for each in on.folder.models if each.place.startswith(f"{name.rstrip('/')}/")]


def _one(name: str, on: Seen) -> Lying:
    matching = _matching(name, on)
    if len(matching) > 1:
        raise BadInput(
            "several models are meant",
            where=on.host.name,
            found=name,
            expected=", ".join(each.place for each in matching),
            hint="name one of these",
        )
    return matching[0]


def _no_such(name: str, known: Mapping[str, Seen]) -> BadInput:
    from difflib import get_close_matches

    places = sorted({each.place for on in known.values() for each in on.folder.models})
    near = get_close_matches(name, places, n=3, cutoff=0.3)
    return BadInput(
        "there is no such model",
        where=", ".join(known),
        found=name,
        expected=", ".join(near or places[:5]) or "none lies there",
        hint="`labctl models list` shows all",
    )


def _refuse_used(asked: Asked, host: str, on: Seen, model: Lying) -> None:
    units = on.units.get(model.place, ())
    if units and not asked.force:
        raise AnswerIsNo(
            "a unit loads this model",
            where=f"{host}: {model.place}",
            found=", ".join(units),
            hint="take the workload out of the plan and apply that, or remove it with --force",
        )


def _agreed(chosen: Mapping[str, Lying]) -> bool:
    if not sys.stdin.isatty():
        raise BadInput(
            "there is nobody to ask whether it may go", where="--yes", found="no terminal", hint="add --yes"
        )
    for name, model in chosen.items():
        print("\n".join(wrapped(f"{name}: removes {model.place}, {size(model.have_bytes)}")), file=sys.stderr)
    print("Remove it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
