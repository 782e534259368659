"""`labctl fit`: what its JSON holds, how it exits, and that llama.cpp says the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.labctl.cli.fit_command import Answer, Command, gguf
from tests.oracle.rows import BOUNDS, recorded

RIG = "workloads/rigs/dual-3090.yaml"
CONTRACT = {
    "schema_version", "model", "engine", "engine_build", "quant", "context", "parallel", "parameters", "memory",
    "per_gpu", "tokens_per_second", "confidence", "fits",
}  # fmt: skip
BESIDE = {
    "source", "kv_type", "prompt_tokens_per_second", "answer", "reason", "suggestions", "enough", "notes",
}  # fmt: skip
FIVE = ("weights_mib", "kv_cache_mib", "compute_mib", "scratch_mib", "context_overhead_mib")
MEMORY = {*FIVE, "total_mib", "low_mib", "high_mib", "weights_host_mib", "compute_host_mib", "host_mib"}
QUESTIONS = {
    "yes": ("llama-3.1-8b", "--gpu", "rtx-3090"),
    "no": ("llama-3.1-70b", "--gpu", "rtx-3060"),
    "two cards": ("llama-3.1-70b", "--rig", RIG),
    "unlike cards": ("qwen3-32b", "--gpu", "rtx-3060,rtx-3090"),
    "no cards": ("llama-3.1-8b",),
    "ollama": ("llama-3.1-8b", "--engine", "ollama", "--gpu", "rtx-3060"),
    "vllm": ("llama-3.1-8b", "--engine", "vllm", "--parallel", "8", "--rig", RIG),
    "transformers": ("llama-3.1-8b", "--engine", "transformers", "--gpu", "rtx-3090"),
    "images": ("flux.1-dev", "--gpu", "rtx-3060"),
    "speech": ("whisper-large-v3", "--gpu", "rtx-3060"),
    "training": ("llama-3.1-8b", "--train", "qlora", "--gpu", "rtx-3090"),
    "unified memory": ("llama-3.1-70b", "--rig", "workloads/rigs/dgx-spark.yaml"),
    "experts in RAM": ("gpt-oss-120b", "--rig", RIG, "--n-cpu-moe", "30"),
    "layers in RAM": ("qwen3-32b", "--rig", RIG, "--n-gpu-layers", "20"),
    "a draft model": ("qwen3-32b", "--draft", "qwen3-0.6b", "--rig", RIG),
}
questions = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
ANSWERS: dict[tuple[str, ...], Answer] = {}


def asked(fit: Command, question: tuple[str, ...]) -> Answer:
    """The answer in JSON; the same question is asked once for all tests."""
    if question not in ANSWERS:
        ANSWERS[question] = fit(*question, "--json")
    return ANSWERS[question]


@questions
def test_every_key_is_always_there(question: tuple[str, ...], fit: Command) -> None:
    document = asked(fit, question).document
    assert set(document) == CONTRACT | BESIDE
    assert set(document["memory"]) == MEMORY
    for card in document["per_gpu"]:
        assert set(card) == {"gpu", "model", "usable_mib", "total_mib", "low_mib", "high_mib", *FIVE}
    assert document["schema_version"] == 1


@questions
def test_the_sums_are_sums(question: tuple[str, ...], fit: Command) -> None:
    document = asked(fit, question).document
    memory = document["memory"]
    for place in (memory, *document["per_gpu"]):
        assert place["total_mib"] == sum(place[part] for part in FIVE)
        # Parts are cut off to whole MiB, so their sum may be that much below the low end of an exact estimate.
        assert place["low_mib"] <= place["total_mib"] + len(FIVE) * len(document["per_gpu"])
        assert place["total_mib"] <= place["high_mib"]
        assert all(place[part] >= 0 for part in FIVE)
    for part in (*FIVE, "total_mib", "low_mib", "high_mib"):
        assert memory[part] == sum(card[part] for card in document["per_gpu"])
    assert all(isinstance(value, int) for value in memory.values())


@questions
def test_the_exit_code_is_the_verdict(question: tuple[str, ...], fit: Command) -> None:
    as_json, as_text = asked(fit, question), fit(*question)
    document = as_json.document
    assert as_json.err == as_text.err == ""
    assert as_json.code == as_text.code == (3 if document["answer"] is False else 0)
    assert (document["reason"] is None) == (document["answer"] is not False)
    first_words = as_text.out.split("\n\n")[1]
    assert first_words.startswith({True: "Yes: ", False: "No: ", None: document["quant"]}[document["answer"]])


@questions
def test_what_is_said_to_fit_does(question: tuple[str, ...], fit: Command) -> None:
    document = asked(fit, question).document
    for each in document["fits"]:
        within = len(each["needs_mib"]) > 0 and all(
            needs <= usable for needs, usable in zip(each["needs_mib"], each["usable_mib"], strict=True)
        )
        assert each["fits"] == (each["reason"] is None)
        assert within or not each["fits"]
    if document["answer"]:
        card = document["per_gpu"][0]
        assert card["usable_mib"] >= card["high_mib"]


@pytest.mark.parametrize(
    "question",
    [
        ("llama-3.1-70b", "--gpu", "rtx-3060"),
        ("qwen3-32b", "--gpu", "rtx-3060", "--parallel", "4"),
        ("qwen3-32b", "--quant", "Q8_0", "--gpu", "rtx-3090", "--context", "32k"),
        ("qwen3-30b-a3b", "--rig", "workloads/rigs/budget-3060.yaml"),
        ("qwen3-235b-a22b", "--rig", RIG),
        ("llama-3.1-8b", "--engine", "vllm", "--gpu", "rtx-3060", "--context", "64k", "--parallel", "2"),
        ("llama-3.1-8b", "--engine", "ollama", "--gpu", "rtx-3060", "--context", "128k"),
        ("llama-3.1-8b", "--train", "qlora", "--gpu", "rtx-3060", "--batch", "8"),
        ("llama-3.1-8b", "--train", "full", "--gpu", "rtx-3090"),
        ("llama-3.1-8b", "--train", "lora", "--gpu", "rtx-3090", "--batch", "2"),
        ("flux.1-dev", "--quant", "nf4", "--gpu", "rtx-3090", "--batch", "32"),
        ("whisper-large-v3", "--gpu", "gtx-1060", "--batch", "8"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_suggestion_works_when_it_is_typed(question: tuple[str, ...], fit: Command) -> None:
    """The words go behind the question, as a person would add them."""
    refused = fit(*question, "--json")
    assert refused.code == 3
    suggested = refused.document["suggestions"]
    assert suggested
    for each in suggested:
        assert fit(*question, *each["change"].split()).code == 0, each["change"]


@questions
def test_cards_that_are_said_to_hold_it_do(question: tuple[str, ...], fit: Command) -> None:
    document = asked(fit, question).document
    model, *rest = question
    options = [
        each
        for pair in zip(rest[::2], rest[1::2], strict=True)
        if pair[0] not in ("--gpu", "--rig")
        for each in pair
    ]
    for each in document["enough"]:
        cards = f"{each['gpu']}:{each['count']}"
        assert fit(model, "--gpu", cards, "--quant", document["quant"], *options).code == 0, cards


@pytest.mark.parametrize("model", ["llama-3.1-8b", "gemma-3-27b", "qwen3-30b-a3b", "deepseek-v2-lite"])
@pytest.mark.parametrize(
    ("options", "key"),
    [
        ((), "1 cards -c 8192 -np 1 -ub 512 -ctk f16 -ctv f16 -ngl 999 -fa on"),
        (
            ("--context", "32k", "--parallel", "4", "--kv-type", "q8_0"),
            "1 cards -c 131072 -np 4 -ub 512 -ctk q8_0 -ctv q8_0 -ngl 999 -fa on",
        ),
        (("--gpus", "2"), "2 cards -c 8192 -np 1 -ub 512 -ctk f16 -ctv f16 -ngl 999 -fa on"),
        (("--n-gpu-layers", "10"), "1 cards -c 8192 -np 1 -ub 512 -ctk f16 -ctv f16 -ngl 10 -fa on"),
        (("--ubatch", "1024"), "1 cards -c 8192 -np 1 -ub 1024 -ctk f16 -ctv f16 -ngl 999 -fa on"),
    ],
    ids=["alone", "long and quantized", "two cards", "partly in RAM", "batch"],
)  # fmt: skip
def test_llama_cpp_says_the_same(
    model: str, options: tuple[str, ...], key: str, fit: Command, tmp_path: Path
) -> None:
    """Weights and cache to the MiB that llama-fit-params prints, compute buffers within what it may differ."""
    rows = recorded(model)[key]
    only = () if "--gpus" in options else ("--gpus", "1")
    # Cards with room for all of them, so that this is about the account and not about the choice.
    rig = tmp_path / "rig.yaml"
    rig.write_text(
        "name: big\nhosts: [{name: big, gpus: [{model: rtx-3090, count: 2, memory_mib: 999999}]}]\n"
    )
    document = fit(gguf(tmp_path, model), "--rig", str(rig), *options, *only, "--json").document
    assert len(document["per_gpu"]) == len(rows) - 1
    for card, (weights, cache, compute) in zip(document["per_gpu"], rows, strict=False):
        assert (card["weights_mib"], card["kv_cache_mib"]) == (weights, cache)
        assert compute * (1 - BOUNDS[1]) - 1 <= card["compute_mib"] <= (compute + 1) * (1 + BOUNDS[0])
    weights, _, compute = rows[-1]
    memory = document["memory"]
    assert memory["weights_host_mib"] == weights
    assert compute * (1 - BOUNDS[1]) - 1 <= memory["compute_host_mib"] <= (compute + 1) * (1 + BOUNDS[0])


def test_explain_names_formula_and_source_of_every_term(fit: Command) -> None:
    question = ("qwen3-32b", "--rig", RIG, "--n-gpu-layers", "40", "--kv-type", "q8_0")
    document: dict[str, Any] = fit(*question, "--json", "--explain").document
    text = fit(*question, "--explain").out
    explained = " ".join(text.split())
    assert set(document["terms"]) == {*(str(index) for index in range(len(document["per_gpu"]))), "host"}
    for terms in document["terms"].values():
        for term in terms:
            assert term["formula"]
            assert term["source"]
            if term["high_bytes"]:
                assert f"{term['name']}: {term['expected_bytes'] / 2**20:,.1f} MiB" in explained
                assert " ".join(term["formula"].split()) in explained
                assert f"source: {' '.join(term['source'].split())}" in explained
    for index, card in enumerate(document["per_gpu"]):
        terms = document["terms"][str(index)]
        expected = sum(term["expected_bytes"] for term in terms) / 2**20
        assert 0 <= expected - card["total_mib"] < len(FIVE)
        assert -(-sum(term["high_bytes"] for term in terms) // 2**20) == card["high_mib"]
        assert f"together: {expected:,.1f} MiB" in explained
    assert all(f"source: {' '.join(source.split())}" in explained for source in document["speed_sources"])


def test_the_question_is_answered_about_this_machine_s_own_cards(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from labctl.edges.rigs import rig_of
    from tests.labctl.cli.fit_command import command

    here = command(capsys, monkeypatch, tmp_path, rig_of(("rtx-3060",)))
    document = here("llama-3.1-8b", "--json").document
    assert document["answer"] is True
    assert [card["model"] for card in document["per_gpu"]] == ["rtx-3060"]


def test_json_says_what_is_wrong_too(fit: Command) -> None:
    for question in (("nosuch",), ("llama-3.1-8b", "--parallel", "0"), ("llama-3.1-8b", "--parallel", "x")):
        answer = fit(*question, "--json")
        assert (answer.code, answer.err) == (2, "")
        assert json.loads(answer.out)["error"]["exit_code"] == 2
