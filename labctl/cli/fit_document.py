"""What `labctl fit --json` prints. Outside tools rely on it: add keys, never change them. Pure."""

from labctl.errors import SCHEMA_VERSION
from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Term, mib
from labctl.estimate.parts import card_parts
from labctl.estimate.range import Range
from labctl.estimate.speed import Speed
from labctl.place.fit import Fit
from labctl.place.ranking import Ranked
from labctl.place.report import Report


def report_document(report: Report, where: str, notes: tuple[str, ...]) -> dict[str, object]:
    """The answer to `labctl fit MODEL` as one JSON document. Every key is always there."""
    # What does not fit runs at no speed.
    speed = None if report.answer is False else report.speed
    request = report.request
    return {
        "schema_version": SCHEMA_VERSION,
        "model": report.candidate.name,
        "source": where,
        "engine": report.candidate.engine,
        "engine_build": request.engine_build,
        "quant": report.quant,
        "context": report.estimate.request.context,
        "parallel": request.parallel,
        "kv_type": request.kv_type_k,
        "parameters": report.candidate.parameters,
        "memory": _memory(report.estimate),
        "per_gpu": [_card(report, index, card) for index, card in enumerate(report.estimate.cards)],
        "tokens_per_second": _range(speed.decode if speed else None),
        "prompt_tokens_per_second": _range(speed.prefill if speed else None),
        "confidence": report.estimate.confidence,
        "answer": report.answer,
        "reason": report.reason,
        "fits": [_fit(each) for each in report.fits],
        "suggestions": [
            {
                "change": each.change,
                "note": each.note,
                "saves_mib": each.saves_mib,
                "fit": _fit(each.fit),
            }
            for each in report.suggestions
        ],
        "enough": [
            {
                "gpu": each.gpu.name,
                "count": each.count,
                "needs_mib": each.needs_mib,
                "usable_mib": each.usable_mib,
            }
            for each in report.enough
        ],
        "notes": [*report.estimate.notes, *notes],
    }


def explained(report: Report) -> dict[str, object]:
    """Every term with its formula and source, and where speeds come from."""
    places = (*report.estimate.cards, report.estimate.host)
    return {
        "terms": {place.name: [_term(term) for term in place.terms] for place in places},
        "speed_sources": list(report.speed.sources) if report.speed else [],
    }


def ranking_document(ranked: tuple[Ranked, ...], rig: str) -> dict[str, object]:
    """The answer to `labctl fit` without a model."""
    return {
        "schema_version": SCHEMA_VERSION,
        "rig": rig,
        "models": [
            {
                "model": each.name,
                "title": each.title,
                "uses": list(each.uses),
                "parameters": each.parameters,
                "newer": each.newer,
            }
            | _fit(each.fit)
            for each in ranked
        ],
    }


def _floor(n_bytes: int) -> int:
    """Parts in whole MiB, cut off as llama.cpp's own account is; what placement charges is rounded up."""
    return n_bytes // MIB


def _parts(place: PlaceEstimate) -> dict[str, int]:
    return {f"{part}_mib": mebibytes for part, mebibytes in card_parts(place).items()}


def _memory(estimate: Estimate) -> dict[str, int]:
    """Over all cards, and the host's part."""
    parts = [_parts(card) for card in estimate.cards]
    summed = {key: sum(each[key] for each in parts) for key in parts[0]}
    return summed | {
        "total_mib": sum(summed.values()),
        "low_mib": sum(_floor(card.low) for card in estimate.cards),
        "high_mib": sum(mib(card.high) for card in estimate.cards),
        "weights_host_mib": _floor(estimate.host.of("weights")),
        "compute_host_mib": _floor(estimate.host.of("compute")),
        "host_mib": mib(estimate.host.high),
    }


def _card(report: Report, index: int, card: PlaceEstimate) -> dict[str, object]:
    parts = _parts(card)
    installed = report.group.cards[index] if report.group and index < len(report.group.cards) else None
    return {
        "gpu": installed.id if installed else card.name,
        "model": installed.gpu.name if installed else None,
        **parts,
        "total_mib": sum(parts.values()),
        "low_mib": _floor(card.low),
        "high_mib": mib(card.high),
        "usable_mib": installed.usable_mib if installed else None,
    }


def _fit(fit: Fit) -> dict[str, object]:
    return {
        "host": fit.group.host.name,
        "gpus": [card.id for card in fit.group.cards],
        "gpu_models": [card.gpu.name for card in fit.group.cards],
        "quant": fit.quant,
        "kv_type": fit.request.kv_type_k,
        "context": fit.request.context,
        "parallel": fit.request.parallel,
        "n_gpu_layers": fit.request.n_gpu_layers,
        "n_cpu_moe": fit.request.n_cpu_moe,
        "fits": fit.fits,
        "reason": fit.reason,
        "needs_mib": list(fit.needs_mib),
        "usable_mib": list(fit.group.usable_mib),
        "host_mib": mib(fit.estimate.host.high) if fit.estimate else None,
        "max_context": fit.context,
        "tokens_per_second": _range(fit.speed.decode if fit.fits and isinstance(fit.speed, Speed) else None),
    }


def _range(found: Range | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {"low": round(found.low, 1), "expected": round(found.expected, 1), "high": round(found.high, 1)}


def _term(term: Term) -> dict[str, object]:
    return {
        "part": term.part,
        "name": term.name,
        "low_bytes": term.low,
        "expected_bytes": term.expected,
        "high_bytes": term.high,
        "formula": term.formula,
        "source": term.source,
    }
