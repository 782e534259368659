"""What `labctl models` prints for people. Pure."""

import textwrap
from collections.abc import Iterator, Mapping

from labctl.edges.host_models import Folder, Pulled
from labctl.edges.model_hosts import Seen
from labctl.errors import LabctlError
from labctl.model_store.lying import Lying
from labctl.model_store.progress import Status
from labctl.render.model_need import LeftOut

WIDTH = 80
_GIB, _MIB = 1024**3, 1024**2


def size(n_bytes: int | None) -> str:
    """As 4.6 GiB; ? for what nobody knows."""
    if n_bytes is None:
        return "?"
    return f"{n_bytes / _GIB:.1f} GiB" if n_bytes >= _GIB // 10 else f"{n_bytes / _MIB:.1f} MiB"


def list_text(found: Mapping[str, Seen | LabctlError]) -> str:
    """A block for every host."""
    blocks = []
    for name, each in found.items():
        lines = (
            wrapped(f"{name}: {each}")
            if isinstance(each, LabctlError)
            else [*_host(name, each.folder), *_models(each.folder, each.units)]
        )
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def pulled_text(
    host: str, folder: str, pulled: tuple[Pulled, ...], left_out: tuple[LeftOut, ...] = ()
) -> str:
    """What became of each model, what is left to a person, then a sum."""
    lines = []
    for each in pulled:
        said = {"pulled": "here now, verified", "there": "was there already"}.get(
            each.outcome, "did NOT come"
        )
        lines += wrapped(
            f"{each.place}: {said}{f' ({size(each.bytes)})' if each.bytes is not None else ''}", "  "
        )
        if each.error is not None:
            lines += wrapped(f"! {each.error}", "    ")
    for other in left_out:
        lines += wrapped(f"{other.workload}: {other.model} is NOT pulled by this", "  ")
        lines += wrapped(other.do, "    ")
    failed = sum(each.error is not None for each in pulled)
    end = f"{failed} of {len(pulled)} did not come" if failed else "everything is there"
    if left_out:
        rest = f"{len(left_out)} {'is' if len(left_out) == 1 else 'are'} left to you"
        end = rest if not pulled else f"{end}; {rest}" if failed else f"what is pulled is there; {rest}"
    return "\n".join([f"{host}: models in {folder}", *lines, f"{host}: {end}"]) + "\n"


def nothing_text(host: str) -> str:
    """A plan that loads nothing."""
    return f"{host}: no model is needed\n"


def status_text(host: str, status: Status, doing: str | None = None) -> str:
    """One line, at most 79 columns: the name gives way first. doing: in other words than the status has."""
    known = status.of_bytes
    share = f"{100 * status.done_bytes // known:3d} % " if known else ""
    figures = f"{share}{size(status.done_bytes)} of {size(known)}"
    if status.note:
        return _cut(f"{host}: {status.note}")
    words = {"waiting": "waiting", "loading": "fetching", "verifying": "verifying"}
    doing = doing or words[status.phase]
    return _cut(f"{host}: {figures}, {doing} {status.file}")


def wrapped(text: str, indent: str = "") -> list[str]:
    """Within 80 columns."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _host(name: str, folder: Folder) -> Iterator[str]:
    free = (
        f"{size(folder.free_bytes)} free for models"
        if folder.free_bytes is not None
        else "not there yet, the first pull makes it"
    )
    yield from wrapped(f"{name}: {folder.path}, {free}")


def _models(folder: Folder, units: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if not folder.models:
        yield "  no models"
    for each in folder.models:
        yield from wrapped(each.place, "  ")
        yield from wrapped(f"{_amount(each)}, {_source(each)}", "    ")
        if loading := units.get(each.place):
            yield from wrapped(f"loaded by {', '.join(loading)}", "    ")


def _amount(each: Lying) -> str:
    return size(each.bytes) if each.whole else f"PART: {size(each.have_bytes)} of {size(each.bytes)}"


def _source(each: Lying) -> str:
    if each.source is None:
        return "put there by hand" if each.whole else "from nobody knows where"
    return f"from {each.source}"


def _cut(line: str) -> str:
    return line if len(line) < WIDTH else f"{line[: WIDTH - 2]}…"
