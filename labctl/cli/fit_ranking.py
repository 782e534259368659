"""`labctl fit` without a model: what of the catalogue this rig runs, by use."""

import json
from collections.abc import Iterator
from functools import cache

from labctl.cli import fit_options
from labctl.cli.fit_options import Question
from labctl.cli.fit_text import billions, tokens
from labctl.edges import catalog
from labctl.edges.candidates import Wanted, find
from labctl.errors import ANSWER_IS_NO, DONE, BadInput
from labctl.estimate.claim import Request
from labctl.place.group import groups
from labctl.place.ranking import Entry, Ranked, order, ranked
from labctl.rig.rig import Rig

USUAL_CONTEXT = 8192
MOST_PER_USE = 8


def rank(question: Question, rig: Rig | None, *, as_json: bool) -> int:
    """Print the list; returns the exit code, 3 when nothing fits. Raises BadInput where there are no cards."""
    if rig is None:
        raise BadInput(
            "which cards? there is no NVIDIA driver here",
            where="labctl fit",
            expected="--rig FILE or --gpu NAME",
            hint="as in `labctl fit --gpu rtx-3060`, or name a MODEL",
        )
    context = fit_options.tokens("--context", question.context) or USUAL_CONTEXT
    engine = fit_options.engine(question.engine) or "llama.cpp"
    if engine not in ("llama.cpp", "ollama", "vllm", "transformers"):
        raise BadInput("the list is of language models", where="--engine", found=engine)
    request = fit_options.request(question, engine, context)
    found = order(ranked(_entries(question), request, groups(rig), _bits))
    if as_json:
        from labctl.cli.fit_document import ranking_document

        print(json.dumps(ranking_document(found, rig.name), indent=2))
    else:
        print("\n".join(_lines(found, rig, request, question.use)))
    return DONE if found else ANSWER_IS_NO


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
        yield Entry(find(wanted).candidate, record.title, tuple(record.uses))


@cache
def _bits(quant: str) -> float:
    return catalog.quantization(quant).bits_per_weight


def _lines(found: tuple[Ranked, ...], rig: Rig, request: Request, use: str | None) -> Iterator[str]:
    yield f"What {rig.name} runs with {request.engine}, context {tokens(request.context)} × {request.parallel}:"
    for each_use in [use] if use else _uses(found):
        of_use = [each for each in found if each_use in each.uses]
        yield ""
        yield f"{each_use:24} {'size':>7} {'format':>8} {'context':>8} {'tokens/s':>9}  cards"
        for each in of_use[:MOST_PER_USE]:
            speed = f"{each.fit.speed.decode.expected:.0f}" if each.fit.speed else "?"
            reach = tokens(each.fit.context) if each.fit.context else "?"
            cards = each.fit.group.title
            name, count = each.name[:22], billions(each.parameters)
            yield f"  {name:22} {count:>7} {each.fit.quant:>8} {reach:>8} {speed:>9}  {cards}"
        if len(of_use) > MOST_PER_USE:
            yield f"  and {len(of_use) - MOST_PER_USE} smaller: --use {each_use} --json lists all"
    if not found:
        yield "Nothing of the catalogue fits."
    else:
        yield ""
        yield "Sorted by size, not by taste. `labctl fit NAME` says more of one."


def _uses(found: tuple[Ranked, ...]) -> list[str]:
    uses: list[str] = []
    for each in found:
        uses += [use for use in each.uses if use not in uses]
    return sorted(uses)
