"""What `labctl models list` does."""

import json

from labctl.cli.models_document import list_document
from labctl.cli.models_text import list_text
from labctl.edges.model_hosts import model_hosts, seen
from labctl.errors import DONE, FAILED, LabctlError


def answer(inventory: str, *, as_json: bool) -> int:
    """Print it; returns the exit code. Raises BadInput for an inventory that cannot be used."""
    with model_hosts(inventory) as hosts:
        found = seen(hosts)
    code = FAILED if any(isinstance(each, LabctlError) for each in found.values()) else DONE
    if as_json:
        print(json.dumps(list_document(found, code), indent=2))
    else:
        print(list_text(found), end="")
    return code
