"""A workloads file as `Workload` values. Every mistake is told with its line and what belongs there instead."""

from collections.abc import Callable, Collection, Iterator, Mapping
from difflib import get_close_matches

from labctl.errors import BadInput
from labctl.workloads.overrides import ANY, Problem, answers, misfits
from labctl.workloads.reserved import NAME, is_reserved
from labctl.workloads.schema import CountWanted, Document, Entry, TokensWanted
from labctl.workloads.service import Service
from labctl.workloads.workload import Amount, FineTuning, GpuLimits, Window, Workload
from labctl.yaml_document import Path, read_located

Line = Callable[[Path], int]


def parse(
    text: str, where: str, find_service: Callable[[str], Service | None], services: Collection[str]
) -> tuple[Workload, ...]:
    """Every workload of the file, by name. find_service: the catalogue's; services: its names, for messages.

    Raises BadInput with file, line and key.
    """
    document, line = read_located(text, where, Document, {NAME: "small letters, digits and hyphens"})
    known = {name: find_service(entry.service) for name, entry in document.workloads.items()}
    for name, entry in document.workloads.items():
        problem = next(_problems(name, entry, known, document, services), None)
        if problem is not None:
            path, message, found, hint = problem
            raise BadInput(
                message,
                where=f"{where}:{line(('workloads', name, *path))}: {'.'.join(map(str, (name, *path)))}",
                found=found,
                hint=hint,
            )
    return tuple(_workload(name, entry, line) for name, entry in sorted(document.workloads.items()))


def _problems(
    name: str,
    entry: Entry,
    known: Mapping[str, Service | None],
    document: Document,
    services: Collection[str],
) -> Iterator[Problem]:
    """What the schema cannot see: names that must exist elsewhere, and keys that the service has no use for."""
    service = known[name]
    if is_reserved(name):
        yield (), "something of labctl itself has this name", name, f"call it otherwise: my-{name}"
    if service is None:
        near = _near(entry.service, services)
        yield ("service",), "no service of that name in the catalogue", entry.service, near
        return
    yield from misfits(entry, service)
    others = [each for each in document.workloads if each != name]
    for key, named in (
        ("apart_from", entry.apart_from),
        ("uses", entry.uses),
        ("displaces", entry.displaces),
    ):
        for index, each in enumerate(named):
            if each in named[:index]:
                yield (key, index), "the same name twice", each, "keep one of them"
            elif key == "displaces" and each in others and _is_job(document.workloads[each]):
                hint = "give both windows that do not overlap"
                yield (key, index), "a job does not displace another job", each, hint
            elif each not in others:
                what = "a workload cannot name itself" if each == name else "no workload of that name here"
                yield (key, index), what, each, _near(each, others)
            elif key == "uses" and (used := known[each]) and not answers(document.workloads[each], used):
                hint = f"give {each} `ports:`, or leave it out" if used.name == ANY else "leave it out"
                yield (key, index), "it answers at no port", each, hint


def _is_job(entry: Entry) -> bool:
    """Whether it runs only at times."""
    return bool(entry.displaces) or entry.when is not None


def _near(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(sorted(known)) or 'none'}"


def _workload(name: str, entry: Entry, line: Line) -> Workload:
    quant = entry.dtype if entry.dtype is not None else entry.quant
    width, _, height = (entry.size or "").partition("x")
    return Workload(
        name=name,
        service=entry.service,
        line=line(("workloads", name)),
        key_lines=tuple((key, line(("workloads", name, key))) for key in sorted(entry.model_fields_set)),
        model=entry.model,
        quants=() if quant == "auto" else (quant,) if isinstance(quant, str) else tuple(quant),
        context=_tokens(entry.context),
        parallel=_count(entry.parallel),
        kv_types=_formats(entry),
        size=(int(width), int(height)) if entry.size else None,
        frames=entry.frames,
        priority=entry.priority,
        load=entry.load,
        offload=entry.offload,
        gpus=GpuLimits(
            entry.gpus.count,
            tuple(entry.gpus.models),
            tuple(entry.gpus.uuids),
            entry.gpus.host,
            entry.gpus.exclusive,
        ),
        apart_from=tuple(sorted(entry.apart_from)),
        expose=entry.expose,
        uses=tuple(entry.uses),
        training=_training(entry),
        displaces=tuple(sorted(entry.displaces)),
        when=_window(entry.when),
        vram_mib=entry.vram_mib,
        ram_mib=entry.ram_mib,
        disk_mib=entry.disk_mib,
        image=entry.image,
        args=tuple(entry.args),
        env=tuple(sorted((key, _text(value)) for key, value in entry.env.items())),
        ports=tuple(str(port) for port in entry.ports),
        volumes=tuple(sorted(entry.volumes.items())),
        devices=tuple(entry.devices),
        data=entry.data,
        format_key="quant" if entry.dtype is None else "dtype",
    )


def _tokens(written: int | TokensWanted | None) -> Amount | None:
    if isinstance(written, TokensWanted):
        return Amount(written.want, written.min)
    return None if written is None else Amount(written, written)


def _count(written: int | CountWanted) -> Amount:
    return Amount(written.want, written.min) if isinstance(written, CountWanted) else Amount(written, written)


def _formats(entry: Entry) -> tuple[str, ...]:
    if entry.kv_type == "auto":
        return ()
    return (entry.kv_type,) if isinstance(entry.kv_type, str) else tuple(entry.kv_type)


def _training(entry: Entry) -> FineTuning | None:
    asked = entry.training
    if asked is None:
        return None
    return FineTuning(asked.method, asked.batch, asked.sequence, asked.optimizer, asked.rank)


def _window(text: str | None) -> Window | None:
    if text is None:
        return None
    start, end = (60 * int(each[:2]) + int(each[3:]) for each in text.split("-"))
    return Window(start, end)


def _text(value: str | float | bool) -> str:
    """As a shell would write it: YAML's true is `true`, not Python's."""
    return str(value).lower() if isinstance(value, bool) else str(value)
