"""Text, images, speech and training asked in one way."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.edges.candidates import Wanted, find
from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Processor, Runner
from labctl.estimate.claim import MIB, Engine, Request

ENGINES: dict[Engine, Wanted] = {
    "llama.cpp": Wanted("llama-3.1-8b"),
    "ollama": Wanted("llama-3.1-8b", engine="ollama"),
    "vllm": Wanted("llama-3.1-8b", engine="vllm"),
    "transformers": Wanted("llama-3.1-8b", engine="transformers"),
    "training": Wanted("llama-3.1-8b", method="lora"),
    "comfyui": Wanted("flux.1-dev"),
    "whisper": Wanted("whisper-large-v3"),
}
RUNNER = Runner(catalog.gpu("rtx-3090"), 24_000 * MIB)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_estimate_for_every_engine(engine: Engine) -> None:
    candidate = find(ENGINES[engine]).candidate
    asked = Request(engine, 4096, card_memory_bytes=(24_000 * MIB,))
    for quant in candidate.quants:
        found = candidate.estimate(quant, asked)
        (card,) = found.cards
        assert 0 < card.low <= card.expected <= card.high
        assert all(term.formula and term.source for term in (*card.terms, *found.host.terms))
        speed = candidate.speed(quant, found, (RUNNER,), Processor(None))
        assert (speed is not None) == (engine in ("llama.cpp", "ollama", "vllm", "transformers"))


@pytest.mark.parametrize("engine", ENGINES)
def test_more_at_once_never_takes_less(engine: Engine) -> None:
    candidate = find(ENGINES[engine]).candidate
    asked = Request(engine, 4096, card_memory_bytes=(24_000 * MIB,))
    taken = [
        candidate.estimate(candidate.quants[0], replace(asked, parallel=parallel)).cards[0].high
        for parallel in (1, 2, 4)
    ]
    assert taken == sorted(taken)


@pytest.mark.parametrize("engine", ["llama.cpp", "vllm", "transformers", "training"])
def test_finer_formats_take_more(engine: Engine) -> None:
    candidate = find(
        replace(ENGINES[engine], method=None) if engine != "training" else ENGINES[engine]
    ).candidate
    taken = [candidate.estimate(quant, Request(engine, 4096)).of("weights") for quant in candidate.quants]
    assert taken == sorted(taken, reverse=True)


def test_what_a_processor_reads_slows_it_down() -> None:
    candidate = find(Wanted("llama-3.1-8b", quants=("Q4_K_M",))).candidate

    def decode(layers: int, bandwidth_gbs: float | None = 50.0) -> float | None:
        found = candidate.estimate("Q4_K_M", Request("llama.cpp", 4096, n_gpu_layers=layers))
        speed = candidate.speed("Q4_K_M", found, (RUNNER,), Processor(bandwidth_gbs))
        return speed.decode.expected if speed else None

    speeds = [decode(layers) for layers in (0, 10, 20, 33)]
    assert None not in speeds
    assert speeds == sorted(speeds, key=lambda each: each or 0.0)
    assert decode(10, None) is None
    assert decode(33, None) is not None


def test_experts_in_ram_are_slower_than_on_the_card_and_faster_than_whole_layers() -> None:
    candidate = find(Wanted("qwen3-30b-a3b", quants=("Q4_K_M",))).candidate

    def decode(request: Request) -> float:
        found = candidate.estimate("Q4_K_M", request)
        speed = candidate.speed("Q4_K_M", found, (RUNNER,), Processor(50.0))
        assert speed
        return speed.decode.expected

    asked = Request("llama.cpp", 4096)
    on_card, experts = decode(asked), decode(replace(asked, n_cpu_moe=24))
    assert decode(replace(asked, n_gpu_layers=1)) < experts < on_card


def test_an_engine_that_runs_no_text_says_so() -> None:
    from labctl.estimate.candidates.language import Language

    wrong = Language("x", "whisper", ("Q4_K_M",), lambda quant: catalog.model("phi-4", quant))
    with pytest.raises(BadInput, match="--engine: this engine runs no language models"):
        wrong.estimate("Q4_K_M", Request("whisper", 4096))


def test_tokens_a_second_fall_with_the_power_limit() -> None:
    candidate = find(Wanted("llama-3.1-8b", quants=("Q4_K_M",))).candidate
    found = candidate.estimate("Q4_K_M", Request("llama.cpp", 4096))
    full, limited = (
        candidate.speed("Q4_K_M", found, (replace(RUNNER, power_limit_watts=watts),), Processor(None))
        for watts in (350, 200)
    )
    assert full
    assert limited
    assert limited.decode.expected < full.decode.expected
