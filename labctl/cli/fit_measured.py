"""`labctl fit --measured FILE`: keep what was measured, and say what was estimated for the same runs."""

import json
from pathlib import Path

from labctl.edges import catalog, measured
from labctl.edges.candidates import Wanted, find
from labctl.edges.rigs import rig_of
from labctl.errors import DONE, SCHEMA_VERSION, LabctlError
from labctl.estimate.calibration import Measurement
from labctl.estimate.claim import MIB, Request
from labctl.place.fit import Fit, fit
from labctl.place.group import groups


def add_measurements(path: Path, *, as_json: bool) -> int:
    """Add them and print each beside its estimate; returns the exit code. Raises BadInput for a file that is wrong."""
    found = measured.add(path)
    compared = [(each, _estimated(each)) for each in found]
    if as_json:
        print(json.dumps(_document(compared), indent=2))
        return DONE
    print(f"Kept {len(found)} in {measured.folder()}. Estimates near them are corrected from now on.")
    for each, estimated in compared:
        print(f"  {each.model} {each.quant} on {each.n_gpus} × {each.card}, context {each.context}:")
        for what, was, expected in _figures(each, estimated):
            beside = f", estimated {expected:.0f} ({was / expected - 1:+.0%})" if expected else ""
            print(f"    {what}: {was:.0f} measured{beside}")
        if estimated is None:
            print("    (speaks of a model that is not in the catalogue: a file with this name in its header)")
    return DONE


def _figures(each: Measurement, estimated: Fit | None) -> list[tuple[str, float, float | None]]:
    figures: list[tuple[str, float, float | None]] = []
    if each.total_mib is not None:
        expected = None
        if estimated and estimated.estimate:
            fullest = max(estimated.estimate.cards, key=lambda card: card.expected)
            seen = each.meter in ("process", "board")
            expected = (fullest.expected - (0 if seen else fullest.of("context_overhead"))) / MIB
        figures.append((f"MiB {each.meter}", each.total_mib, expected))
    if each.tokens_per_second is not None:
        speed = estimated.speed.decode.expected if estimated and estimated.speed else None
        figures.append(("tokens/s", each.tokens_per_second, speed))
    return figures


def _estimated(each: Measurement) -> Fit | None:
    """The uncorrected estimate of the same run; None for a model or engine that is only known by name."""
    try:
        engine = next(name for name in ("llama.cpp", "ollama", "vllm", "transformers") if name == each.engine)
        found = find(Wanted(each.model, engine, (each.quant,)))
        candidate, vision = found.candidate, next(iter(found.companions), None)
        rig = rig_of((f"{catalog.gpu(each.card).name}:{each.n_gpus}",))
        group = next(group for group in groups(rig) if len(group.cards) == each.n_gpus)
        request = Request(
            candidate.engine,
            each.context,
            each.parallel,
            each.build,
            each.kv_type,
            each.kv_type,
            mmproj=vision,
        )
        return fit(candidate, candidate.quants[0], request, group, search=False)
    except (LabctlError, StopIteration):
        return None


def _document(compared: list[tuple[Measurement, Fit | None]]) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "added": [
            {
                "model": each.model,
                "quant": each.quant,
                "gpu": each.card,
                "figures": [
                    {"what": what, "measured": was, "estimated": expected}
                    for what, was, expected in _figures(each, estimated)
                ],
            }
            for each, estimated in compared
        ],
    }
