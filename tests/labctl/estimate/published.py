"""Published measurements beside what is estimated for the same inputs, component by component, meter by meter."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from labctl.edges import catalog
from labctl.estimate import diffusion, training, transformers, vllm
from labctl.estimate.claim import MIB, Estimate, Request, Term
from labctl.estimate.training_request import TrainingRequest
from labctl.models.model import Model
from tests.labctl.estimate import published_llama_cpp

CASES = Path(__file__).resolve().parents[2] / "cases" / "memory"


@dataclass(frozen=True)
class Compared:
    """One measurement, MiB (tokens for `kv_tokens`), and the estimate of the same thing.

    complete: the case states every input. fitted: a constant was taken from this very measurement. meter: what was
    measured; only `process` and `board` hold a CUDA context.
    """

    case: str
    engine: str
    component: str
    meter: str
    complete: bool
    measured: float
    low: float
    expected: float
    high: float
    fitted: bool = False

    @property
    def error(self) -> float:
        """Estimated over measured, less one."""
        return self.expected / self.measured - 1

    @property
    def inside(self) -> bool:
        """Whether the measurement lies between low and high, which logs round to 0.01 GiB."""
        rounding = 0.0 if self.component == "kv_tokens" else 5.2
        return self.low - rounding <= self.measured <= self.high + rounding


def document(name: str) -> dict[str, Any]:
    """One file of cases: `cases`, and `left_out` with the reason for each."""
    loaded: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return loaded


def all_compared() -> tuple[Compared, ...]:
    """Everything there is to compare."""
    return (
        *compared_llama_cpp(),
        *compared_vllm(),
        *compared_diffusion(),
        *compared_training(),
        *compared_transformers(),
    )


def left_out() -> dict[str, str]:
    """Cases and components that are not compared, and why."""
    found: dict[str, str] = {}
    for name in ("llama_cpp", "vllm", "diffusion", "training", "transformers"):
        loaded = document(name)
        found |= loaded["left_out"]
        for case in loaded["cases"]:
            found |= {f"{case['id']}: {part}": why for part, why in case.get("left_out", {}).items()}
    return found


def compared_llama_cpp() -> Iterator[Compared]:
    """Buffers as the engine logs them, per card where several share a model."""
    for case in document("llama_cpp")["cases"]:
        for name, measured, term in published_llama_cpp.components(case):
            yield _of_term(case, name, measured, term, complete=case["complete"])


def compared_vllm() -> Iterator[Compared]:
    """Per rank, from vLLM's own log."""
    for case in document("vllm")["cases"]:
        model, tensor_parallel = catalog.model(case["model"], case["quant"]), case["tensor_parallel"]
        major, minor = case["compute_capability"].split(".")
        terms = {
            "weights": vllm.weights_term(model, tensor_parallel, (int(major), int(minor))),
            "activation_peak": _activation(model, case),
            "non_torch": vllm.non_torch_term(tensor_parallel),
            "cuda_graphs": vllm.graphs_term(tensor_parallel, eager=False),
        }
        measured = case["measured_mib"]
        for name, term in terms.items():
            if name in measured:
                yield _of_term(case, name, measured[name], term, complete=True)
        if "pool_tokens" in measured:
            yield _solved_pool(model, case)
        if "kv_tokens" in measured:
            tokens = vllm.pool_tokens(model, int(measured["kv_reserved"] * MIB), tensor_parallel)
            yield Compared(
                case["id"], case["engine"], "kv_tokens", case["meter"], True, measured["kv_tokens"],
                tokens * 0.98, tokens, tokens * 1.01, "kv_tokens" in case["fitted"],
            )  # fmt: skip


def _solved_pool(model: Model, case: dict[str, Any]) -> Compared:
    """How many tokens are left of the fraction of the card, from the estimate alone."""
    request = Request(
        engine="vllm", context=2048, parallel=case["max_num_seqs"], batch=case["max_num_batched_tokens"],
        memory_fraction=case["memory_fraction"], card_memory_bytes=(case["card_mib"] * MIB,),
    )  # fmt: skip
    cache = next(term for term in vllm.estimate(model, request).cards[0].terms if term.part == "kv_cache")
    low, expected, high = (
        vllm.pool_tokens(model, each, 1) for each in (cache.low, cache.expected, cache.high)
    )
    measured = case["measured_mib"]["pool_tokens"]
    return Compared(
        case["id"], case["engine"], "kv_tokens", case["meter"], True, measured, low, expected, high
    )


def _activation(model: Model, case: dict[str, Any]) -> Term:
    sequences, batched = case["max_num_seqs"], case["max_num_batched_tokens"]
    term = vllm.activation_term(model, sequences, batched, case["tensor_parallel"])
    request = Request(engine="vllm", context=batched, parallel=sequences, batch=batched)
    return vllm.with_vision(term, model, request)


def compared_diffusion() -> Iterator[Compared]:
    """Parts and totals of one card."""
    for case in document("diffusion")["cases"]:
        request = diffusion.DiffusionRequest(
            engine=case["runs_as"],
            width=case["width"],
            height=case["height"],
            backbone=_weights(case["quant"]),
            encoder=_weights(case["encoder_quant"]),
            frames=case["frames"],
            flash_attention=case.get("flash_attention", True),
            offload=case.get("offload", "none"),
            quantized_on_load=case.get("quantized_on_load", True),
        )
        found = diffusion.estimate(catalog.diffusion_model(case["model"]), request)
        terms = {term.name.split(" (")[0]: term for term in found.cards[0].terms}
        by_component = {
            "backbone": terms["backbone"],
            "vae": terms["VAE"],
            "compute": diffusion.denoising_term(catalog.diffusion_model(case["model"]), request),
        }
        for name, measured in case["measured_mib"].items():
            if name == "total":
                yield _total(case, measured, found)
            elif name == "weights":
                weights = [term for term in found.cards[0].terms if term.part == "weights"]
                yield _of_sum(case, name, measured, weights)
            else:
                yield _of_term(case, name, measured, by_component[name], complete=case["complete"])


def _weights(name: str) -> Any:
    """ggml's bare types, as stable-diffusion.cpp names them, are one type for the whole backbone."""
    from dataclasses import replace

    from labctl.models.ggml_types import BY_NAME

    if name in BY_NAME and name not in ("bf16", "f16"):
        kind = BY_NAME[name]
        return replace(
            catalog.quantization("Q8_0"), name=name, bits_per_weight=8 * kind.block_bytes / kind.block
        )
    return catalog.quantization(name)


def compared_training() -> Iterator[Compared]:
    """Peak of one card."""
    for case in document("training")["cases"]:
        found = training.estimate(
            catalog.model(case["model"], case["quant"]), TrainingRequest(**case["request"])
        )
        yield _total(case, case["measured_mib"]["total"], found)


def compared_transformers() -> Iterator[Compared]:
    """Peak of one process."""
    for case in document("transformers")["cases"]:
        request = Request(
            engine="transformers",
            context=case["prompt"] + case["generated"],
            flash_attention=case.get("flash_attention"),
            n_gpus=case.get("n_gpus", 1),
        )
        found = transformers.estimate(
            catalog.model(case["model"], case["quant"]), request, prompt=case["prompt"]
        )
        yield _total(case, case["measured_mib"]["total"], found)


def _total(case: dict[str, Any], measured: float, found: Estimate) -> Compared:
    """What the meter saw: torch's own counters know nothing of the CUDA context; process and board do."""
    if case["meter"] == "allocated after the run":
        return _of_sum(
            case, "total", measured, [term for term in found.cards[0].terms if term.part == "weights"]
        )
    counted = case["meter"].split(",")[0] in ("process", "board")
    # Tables that name several cards add up what each of them took.
    cards = found.cards if "n_gpus" in case else found.cards[:1]
    terms = [term for card in cards for term in card.terms if counted or term.part != "context_overhead"]
    if case["meter"] == "allocated while generating":
        terms = [term for term in terms if term.name != "prompt activations"]
    if "reserved" not in case["meter"] and not counted:
        terms = [term for term in terms if term.name != "allocator"] + [
            Term("scratch", "allocated only", 0, 0, term.high, "", "")
            for term in terms
            if term.name == "allocator"
        ]
    return _of_sum(case, "total", measured, terms)


def _of_sum(case: dict[str, Any], component: str, measured: float, terms: list[Term]) -> Compared:
    low, expected, high = (
        sum(getattr(term, bound) for term in terms) for bound in ("low", "expected", "high")
    )
    summed = Term("compute", component, low, expected, high, "", "")
    return _of_term(case, component, measured, summed, complete=case.get("complete", True))


def _of_term(
    case: dict[str, Any], component: str, measured: float, term: Term, *, complete: bool
) -> Compared:
    return Compared(
        case=case["id"],
        engine=case["engine"],
        component=component,
        meter=case["meter"],
        complete=complete,
        measured=measured,
        low=term.low / MIB,
        expected=term.expected / MIB,
        high=term.high / MIB,
        fitted=component in case["fitted"],
    )


def report(compared: tuple[Compared, ...], out: dict[str, str]) -> str:
    """Everything compared, per component: n, median and worst error, coverage; then what was left out, and why."""
    unseen = [each for each in compared if not each.fitted]
    lines = [
        f"{len(compared)} measurements, {sum(each.inside for each in compared)} of them between low and high",
        f"{len(unseen)} of them gave no constant, {sum(each.inside for each in unseen)} between low and high",
        f"{'component':16} {'n':>3} {'median':>7} {'worst':>8} {'inside':>7} {'median, not fitted':>19}  worst case",
    ]
    for component in dict.fromkeys(each.component for each in compared):
        group = [each for each in compared if each.component == component]
        worst = max(group, key=lambda each: abs(each.error))
        typical = median(abs(each.error) for each in group)
        inside = f"{sum(each.inside for each in group)}/{len(group)}"
        fresh = [abs(each.error) for each in group if not each.fitted]
        apart = f"{median(fresh):.1%} of {len(fresh)}" if fresh else "all fitted"
        lines.append(
            f"{component:16} {len(group):3} {typical:7.1%} {worst.error:+8.1%} {inside:>7} {apart:>19}  {worst.case}"
        )
    for each in compared:
        if not each.inside:
            found = f"{each.component} {each.measured:.0f} [{each.meter}]"
            lines.append(f"  outside: {each.case}: {found}, estimated {each.low:.0f}–{each.high:.0f}")
    lines += ["left out:", *(f"  {case}: {why}" for case, why in sorted(out.items()))]
    return "\n".join(lines)
