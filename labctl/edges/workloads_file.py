"""Reads a workloads file from disk."""

from pathlib import Path

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.workloads.workload import Workload
from labctl.workloads.workloads_file import parse

MOST_BYTES = 4 * 1024 * 1024


def read_workloads(path: str) -> tuple[Workload, ...]:
    """Every workload of the file, by name. Raises BadInput with file, line and key."""
    try:
        content = Path(path).read_bytes()
        if len(content) > MOST_BYTES:
            raise BadInput("too large for a workloads file", where=path, found=f"{len(content)} bytes")
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        raise BadInput(
            "the workloads file cannot be read",
            where=path,
            found=said,
            hint="workloads/home.yaml is an example",
        ) from error
    return parse(text, path, catalog.service, catalog.service_names())
