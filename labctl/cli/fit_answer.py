"""Puts the question of `labctl fit` to the core, and prints what it answers."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from labctl.cli import fit_options
from labctl.cli.fit_options import Question
from labctl.edges import catalog, measured
from labctl.edges.candidates import Found, Wanted, find
from labctl.edges.nvml import live_rig
from labctl.edges.rigs import read_rig, rig_of
from labctl.errors import ANSWER_IS_NO, DONE, BadInput
from labctl.estimate.claim import Engine, Request
from labctl.models.model import Model
from labctl.place.cards import imagined
from labctl.place.choice import Suggestion
from labctl.place.fit import fit
from labctl.place.group import Group, groups
from labctl.place.report import Asked, Report, report
from labctl.rig.rig import Rig

# Shown where nobody says which cards: one of each common size.
COMMON_CARDS = ("rtx-3060", "rtx-4060-ti-16gb", "rtx-3090", "rtx-5090")
USUAL_CONTEXT, USUAL_SEQUENCE = 8192, 2048


def answer(question: Question, *, explain: bool, as_json: bool) -> int:
    """Print the answer; returns the exit code. Raises BadInput for a question that cannot be meant as it stands."""
    if question.measured is not None and question.model is None:
        from labctl.cli.fit_measured import add_measurements

        return add_measurements(Path(question.measured), as_json=as_json)
    if question.model is None:
        from labctl.cli.fit_ranking import rank

        if explain:
            raise BadInput("the list has no terms to explain", where="--explain", hint="name a MODEL")
        return rank(question, _rig(question), as_json=as_json)
    return _one_model(question, question.model, explain=explain, as_json=as_json)


def _one_model(question: Question, model: str, *, explain: bool, as_json: bool) -> int:
    if question.use is not None:
        raise BadInput(
            "only the list without a model has uses", where="--use", hint="leave out MODEL or --use"
        )
    found = find(_wanted(question, model))
    if question.measured is not None:
        measured.add(Path(question.measured))
    rig = _rig(question)
    request = _beside(_request(question, found, rig), question, found)
    ranks = fit_options.shared_by(question)
    asked = Asked(
        found.candidate,
        request,
        _groups(rig, ranks),
        imagined=rig is None,
        # Who has no cards sees the table of common ones; the whole catalogue is gone through when theirs do not do.
        gpus=lambda: catalog.gpus() if rig else (),
        bits=catalog.bits_per_weight if len(found.candidate.quants) > 1 else _any_bits,
        measurements=measured.known(carried=found.carried),
        ranks=ranks,
    )
    answered = _report(asked, question)
    if answered.answer is False and question.train is not None:
        answered = replace(
            answered, suggestions=(*answered.suggestions, *_other_methods(question, asked, model))
        )
    notes = list(found.notes)
    if rig is None:
        notes.append("no NVIDIA driver here and no --rig or --gpu: shown for cards that many people have")
    if as_json:
        from labctl.cli.fit_document import explained, report_document

        document = report_document(answered, found.where, tuple(notes))
        print(json.dumps(document | (explained(answered) if explain else {}), indent=2))
    else:
        from labctl.cli.fit_explain import explanation
        from labctl.cli.fit_text import report_text

        print(report_text(answered, found.where, tuple(notes)), end="")
        if explain:
            print("\n" + explanation(answered), end="")
    return ANSWER_IS_NO if answered.answer is False else DONE


def _report(asked: Asked, question: Question) -> Report:
    try:
        return report(asked)
    except BadInput as refused:
        if refused.where == "tensor_parallel":
            refused.where = "--tensor-parallel" if question.tensor_parallel else "--gpus"
            refused.hint = "use one of these"
        raise


def _other_methods(question: Question, asked: Asked, model: str) -> Iterator[Suggestion]:
    """Ways to train that take less, where they fit; on the roomiest cards, as other changes are tried."""
    methods = ("full", "lora", "qlora")
    roomiest = max(asked.groups, key=lambda group: sum(group.usable_mib))
    for method in methods[methods.index(question.train or "full") + 1 :]:
        candidate = find(replace(_wanted(question, model), method=method)).candidate
        found = fit(candidate, candidate.quants[0], asked.request, roomiest, search=False)
        if found.fits:
            yield Suggestion(f"--train {method}", found, None)


def _wanted(question: Question, model: str) -> Wanted:
    engine = fit_options.engine(question.engine)
    if engine is not None and question.train is not None:
        raise BadInput(
            "training is no engine's", where="--engine", found=engine, hint="leave out --engine or --train"
        )
    return Wanted(
        model,
        engine,
        question.quants,
        question.train,
        optimizer=question.optimizer or fit_options.USUAL_OPTIMIZER,
        fused_backward=question.fused_backward,
        loss_chunks=fit_options.number("--loss-chunks", question.loss_chunks, 1, 1024) or 1,
        size=fit_options.size(question.size or fit_options.USUAL_SIZE),
        frames=fit_options.number("--frames", question.frames, 1, 10_000) or 1,
    )


def _any_bits(_: str) -> float:
    """Where there is one format, there is nothing to choose."""
    return 8.0


def _rig(question: Question) -> Rig | None:
    """The cards to ask about: of a file, by name, of this machine, or none."""
    if question.cards == ():
        raise BadInput("no card is named", where="--gpu", expected="NAME or NAME:COUNT, as rtx-3090:2")
    if question.rig is not None and question.cards:
        raise BadInput("cards are given twice", where="--gpu", hint="either --rig FILE or --gpu NAME")
    if question.rig is not None:
        return read_rig(question.rig)
    return rig_of(question.cards) if question.cards else live_rig()


def _groups(rig: Rig | None, ranks: int | None) -> tuple[Group, ...]:
    if rig is not None:
        found = groups(rig)
        if not found:
            if not rig.cards:
                raise BadInput(
                    "this rig has no cards",
                    where=rig.name,
                    hint="`labctl fit` answers for cards; leave out --rig",
                )
            raise BadInput(
                "none of this rig's cards can be used: their memory is not known, or they are in prohibited mode",
                where=rig.name,
                hint="give memory_mib",
            )
        if ranks is not None and all(len(group.cards) != ranks for group in found):
            raise BadInput(
                "no host has so many cards",
                where="--gpus",
                found=str(ranks),
                expected=f"at most {max(len(group.cards) for group in found)}",
            )
        return found
    return tuple(imagined(catalog.gpu(name), ranks or 1) for name in COMMON_CARDS)


def _request(question: Question, found: Found, rig: Rig | None) -> Request:
    candidate = found.candidate
    engine: Engine = candidate.engine
    context = fit_options.tokens("--context", question.context)
    if context is None:
        context = _usual_context(engine, candidate.context_train, rig)
    return fit_options.request(question, engine, context)


def _usual_context(engine: Engine, context_train: int, rig: Rig | None) -> int:
    usual = USUAL_SEQUENCE if engine == "training" else USUAL_CONTEXT
    if engine == "ollama" and rig is not None:
        from labctl.estimate.claim import MIB
        from labctl.estimate.ollama import default_context

        usual = default_context(tuple((card.memory_mib or 0) * MIB for card in rig.cards))
    return min(usual, context_train) if context_train else usual


def _beside(request: Request, question: Question, found: Found) -> Request:
    """The request with the vision part and the draft model that are loaded in the same process."""
    if question.n_cpu_moe and not found.candidate.layers[1]:
        raise BadInput(
            "this model has no experts",
            where="--n-cpu-moe",
            found=found.candidate.name,
            hint="--n-gpu-layers N leaves whole layers in RAM",
        )
    if question.draft is not None:
        request = replace(request, draft=_draft(question.draft))
    if question.mmproj is not None:
        request = replace(request, mmproj=_vision(question.mmproj))
    elif found.companions and found.candidate.engine in ("llama.cpp", "ollama"):
        request = replace(request, mmproj=found.companions[0])
    return request


def _draft(name: str) -> Model:
    from labctl.estimate.candidates.language import Language

    try:
        candidate = find(Wanted(name, engine="llama.cpp")).candidate
    except BadInput as wrong:
        wrong.where = "--draft"
        raise
    if not isinstance(candidate, Language):
        raise BadInput("no language model", where="--draft", found=candidate.name)
    quants = candidate.quants
    return candidate.model_of("Q8_0" if "Q8_0" in quants else quants[0])


def _vision(file: str) -> Model:
    from labctl.edges.model_reader import read_model

    model = read_model(file).model
    if model.kind != "mmproj":
        raise BadInput(
            "this is no vision part",
            where="--mmproj",
            found=f"{file}: {model.name}, a {model.kind}",
            expected="an mmproj-*.gguf file",
        )
    return model
