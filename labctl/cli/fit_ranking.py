"""`labctl fit` without a model: what of the catalogue this rig runs, by use."""

import json
from collections.abc import Iterator

from labctl.cli import fit_options
from labctl.cli.fit_options import Question
from labctl.cli.fit_text import billions, rate, tokens, wrapped
from labctl.edges import catalog
from labctl.edges.candidates import Wanted, find
from labctl.errors import ANSWER_IS_NO, DONE, BadInput
from labctl.estimate.claim import Request
from labctl.place.group import Group, groups
from labctl.place.ranking import Entry, Ranked, order, ranked, without_superseded
from labctl.rig.rig import NAMELESS, Rig

USUAL_CONTEXT = 8192
MOST_PER_USE = 8
_ON_COLUMNS = 16


def rank(question: Question, rig: Rig | None, *, as_json: bool) -> int:
    """Print the list; returns the exit code, 3 when nothing fits. Raises BadInput where there are no cards."""
    if rig is None:
        raise BadInput(
            "which cards? there is no NVIDIA driver here",
            where="labctl fit",
            expected="--rig FILE or --gpu NAME",
            hint="as in `labctl fit --gpu rtx-3060`, or name a MODEL",
        )
    _refuse_one_models(question)
    context = fit_options.tokens("--context", question.context) or USUAL_CONTEXT
    engine = fit_options.engine(question.engine) or "llama.cpp"
    if engine not in fit_options.TEXT:
        raise BadInput(
            "the list is of language models",
            where="--engine",
            found=engine,
            expected=", ".join(fit_options.TEXT),
        )
    request = fit_options.request(question, engine, context)
    found = order(ranked(_entries(question), request, groups(rig), catalog.bits_per_weight))
    if as_json:
        from labctl.cli.fit_document import ranking_document

        print(json.dumps(ranking_document(found, rig.name), indent=2))
    else:
        print("\n".join(_lines(found, rig, request, question.use)))
    return DONE if found else ANSWER_IS_NO


def _refuse_one_models(question: Question) -> None:
    """Options that only make sense for one model."""
    given = {
        "--train": question.train,
        "--draft": question.draft,
        "--mmproj": question.mmproj,
        "--n-gpu-layers": question.n_gpu_layers,
        "--n-cpu-moe": question.n_cpu_moe or None,
        "--tensor-parallel": question.tensor_parallel,
        "--gpus": question.gpus,
    }
    for option, value in given.items():
        if value is not None:
            raise BadInput("the list is of all models", where=option, found=str(value), hint="name a MODEL")


def _entries(question: Question) -> Iterator[Entry]:
    known = {use for record in catalog.model_records() for use in record.uses}
    if question.use is not None and question.use not in known:
        raise BadInput(
            "nothing has this use", where="--use", found=question.use, expected=", ".join(sorted(known))
        )
    engine = fit_options.engine(question.engine)
    for record in catalog.model_records():
        if record.shape is None or (question.use is not None and question.use not in record.uses):
            continue
        wanted = Wanted(record.name, engine, question.quants)
        known_as = find(wanted)
        vision = next(iter(known_as.companions), None)
        yield Entry(known_as.candidate, record.title, tuple(record.uses), record.newer, vision)


def _lines(found: tuple[Ranked, ...], rig: Rig, request: Request, use: str | None) -> Iterator[str]:
    cards = _cards(rig)
    asked = f"{request.engine} at context {tokens(request.context)} × {request.parallel}"
    yield from wrapped(f"What fits on {cards}, with {asked}:")
    for each_use in [use] if use else _uses(found):
        of_use = without_superseded(found, each_use)
        if not of_use:
            continue
        yield ""
        yield f"{each_use:31} {'size':>6} {'format':>7} {'context':>7} {'tokens/s':>8}  on"
        for each in of_use if use else of_use[:MOST_PER_USE]:
            speed = rate(each.fit.speed.decode.expected) if each.fit.speed else "?"
            reach = tokens(each.fit.context) if each.fit.context else "?"
            count, quant = billions(each.parameters), each.fit.quant.removesuffix("-safetensors")
            on = _on(each.fit.group)
            yield f"  {each.name:29} {count:>6} {quant:>7} {reach:>7} {speed:>8}  {on}"
        if not use and len(of_use) > MOST_PER_USE:
            yield f"  and {len(of_use) - MOST_PER_USE} smaller: --use {each_use}"
    yield ""
    if found:
        yield "Sorted by size, not by taste. `labctl fit NAME` says more of one."
    else:
        yield "Nothing of the catalogue fits."


def _cards(rig: Rig) -> str:
    """`2 × RTX 3090 of aibox`, of every host."""
    named = (
        (Group(host, host.cards).title, "" if host.name == NAMELESS else f" of {host.name}")
        for host in rig.hosts
        if host.cards
    )
    return ", ".join(f"{title}{where}" for title, where in named)


def _on(group: Group) -> str:
    title = group.title
    return title if len(title) <= _ON_COLUMNS else f"{len(group.cards)} cards"


def _uses(found: tuple[Ranked, ...]) -> list[str]:
    uses: list[str] = []
    for each in found:
        uses += [use for use in each.uses if use not in uses]
    return sorted(uses)
