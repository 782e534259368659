"""A host's secrets for a person to read, without their values. Pure."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from labctl.cli.columns import wrapped
from labctl.cli.secrets_rows import Row

_NO_PLAN = "no plan in force takes it"


def secrets_text(host: str, found: Sequence[Row], width: int) -> str:
    """A block for each secret: its name, what it is for, how it was made, and what there is to do."""
    if not found:
        return f"{host}: no secrets yet; `labctl apply` makes what services need\n"
    lines = [f"{host}: {len(found)} secret{'' if len(found) == 1 else 's'}"]
    for row in found:
        lines.append(f"  {row.name}")
        for text in _about(row):
            lines += wrapped(text, width, "    ", "      ")
    return "\n".join(lines) + "\n"


def _about(row: Row) -> Iterator[str]:
    yield row.known.what if row.known else f"of {row.workload}; {_NO_PLAN}"
    yield _made(row)
    if row.older:
        yield f"! newer than what runs: labctl restart {row.workload}"


def _made(row: Row) -> str:
    if row.there is None:
        return {
            "random": "not there: labctl apply makes it",
            "given": f"not given, and it does without: labctl secrets set {row.name}",
            "written": f"not there: labctl secrets set {row.name}",
        }[row.made]
    how = {
        "random": "made at random",
        "given": "given",
        "written": "from the workloads file",
        None: "made by hand",
    }[row.there.made]
    text = f"{how} {_when(row.there.created_at)}"
    if row.there.updated_at != row.there.created_at:
        text += f", changed {_when(row.there.updated_at)}"
    return text + (", in use" if row.units else ", no unit takes it")


def _when(moment: datetime) -> str:
    """By the host's own clock."""
    return f"{moment:%Y-%m-%d %H:%M}"
