"""vLLM, Ollama, diffusion, Whisper, transformers and declared claims: what must hold for any input."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate import declared, diffusion, ollama, transformers, vllm, whisper
from labctl.estimate.claim import MIB, Estimate, Request, mib

GIB = 1024**3
LLAMA = catalog.model("llama-3.1-8b", "bf16")
GGUF = catalog.model("llama-3.1-8b", "Q4_K_M")


def request(
    context: int = 8192, *, parallel: int = 4, tensor_parallel: int = 1, kv_type: str = "auto"
) -> Request:
    return Request(
        engine="vllm", context=context, parallel=parallel, tensor_parallel=tensor_parallel, kv_type_k=kv_type,
        card_memory_bytes=(24 * GIB,) * tensor_parallel,
    )  # fmt: skip


def check(found: Estimate) -> None:
    """Every term ordered, explained and sourced."""
    for place in (*found.cards, found.host):
        for term in place.terms:
            assert 0 <= term.low <= term.expected <= term.high, term
            assert term.formula
            assert term.source


def test_vllm_decides_the_cache_and_pins_it() -> None:
    found = vllm.estimate(LLAMA, request())
    check(found)
    pool = (4 * 8192 + 16) * 32 * 8 * 256 * 2  # a block of 16 tokens is vLLM's own
    assert found.of("kv_cache") == pool
    command = found.notes[0]
    assert f"--kv-cache-memory-bytes={pool}" in command
    assert "--max-model-len=8192" in command
    fraction = float(command.split("--gpu-memory-utilization=")[1])
    assert fraction * 24 * GIB >= found.cards[0].expected - found.cards[0].of("context_overhead")
    assert "32768 tokens" in found.notes[1]


def test_a_given_fraction_decides_the_cache_instead() -> None:
    asked = Request(engine="vllm", context=8192, memory_fraction=0.9, card_memory_bytes=(24 * GIB,))
    found = vllm.estimate(LLAMA, asked)
    held = sum(term.expected for term in found.cards[0].terms if term.part != "context_overhead")
    assert held == pytest.approx(0.9 * 24 * GIB, abs=1)
    with pytest.raises(BadInput, match="no memory for its KV cache"):
        vllm.estimate(
            LLAMA, Request(engine="vllm", context=8192, memory_fraction=0.5, card_memory_bytes=(24 * GIB,))
        )


def test_tensor_parallelism_divides_weights_and_heads() -> None:
    one, two = vllm.estimate(LLAMA, request()), vllm.estimate(LLAMA, request(tensor_parallel=2))
    assert len(two.cards) == 2
    assert two.cards[0].of("weights") == pytest.approx(one.cards[0].of("weights") / 2, rel=0.01)
    assert two.cards[0].of("kv_cache") == one.cards[0].of("kv_cache") // 2


def test_kv_heads_are_copied_when_there_are_more_ranks() -> None:
    qwen = catalog.model("qwen2.5-7b", "bf16")  # 28 heads, 4 KV heads
    at_four, at_seven = (vllm.layer_token_bytes(qwen.layers[0], ranks, "auto") for ranks in (4, 7))
    assert at_four == at_seven == 256 * 2
    assert vllm.weights_term(qwen, 14).expected * 14 > qwen.file_bytes


def test_heads_that_cannot_be_dealt_out_are_refused_with_what_can() -> None:
    with pytest.raises(BadInput, match=r"32 heads on 3 cards.*1, 2, 4, 8, 16"):
        vllm.check_parallelism(LLAMA, 3)


def test_windows_latents_and_fp8_shrink_vllms_cache() -> None:
    gemma = catalog.model("gemma-3-27b", "bf16")
    whole = sum(vllm.layer_token_bytes(layer, 1, "auto") for layer in gemma.layers) * 65536
    assert vllm.cache_bytes(gemma, request(65536, parallel=1)) < 0.25 * whole
    deepseek = catalog.model("deepseek-r1", "fp8")
    assert vllm.layer_token_bytes(deepseek.layers[0], 8, "auto") == 576 * 2
    assert vllm.layer_token_bytes(deepseek.layers[0], 8, "fp8") == 656
    assert vllm.cache_bytes(LLAMA, request(kv_type="fp8")) * 2 == vllm.cache_bytes(LLAMA, request())


def test_mla_keeps_its_expanded_projections_beside_the_weights() -> None:
    deepseek = catalog.model("deepseek-r1", "awq")
    more = vllm.weights_term(deepseek, 1).expected - deepseek.file_bytes
    assert more == 61 * 2 * 128 * 512 * (128 + 128)


def test_unequal_cards_are_not_added_up() -> None:
    asked = Request(engine="vllm", context=8192, tensor_parallel=2, card_memory_bytes=(24 * GIB, 12 * GIB))
    assert "smallest" in " ".join(vllm.estimate(LLAMA, asked).notes)


def test_eager_vllm_has_no_graphs() -> None:
    eager, graphs = vllm.estimate(LLAMA, request(), eager=True), vllm.estimate(LLAMA, request())
    assert eager.cards[0].high < graphs.cards[0].high


@pytest.mark.parametrize(
    ("gib", "context"), [((24, 24), 262144), ((24,), 32768), ((12,), 4096), ((12, 12), 32768)]
)
def test_ollamas_default_context_goes_by_all_cards_together(gib: tuple[int, ...], context: int) -> None:
    assert ollama.default_context(tuple(each * GIB for each in gib)) == context


def test_ollama_is_llama_cpp_with_its_settings() -> None:
    environment = {
        "OLLAMA_CONTEXT_LENGTH": "16384",
        "OLLAMA_NUM_PARALLEL": "2",
        "OLLAMA_KV_CACHE_TYPE": "q8_0",
    }
    on = ollama.Settings.read({**environment, "OLLAMA_FLASH_ATTENTION": "1"})
    found = ollama.estimate(GGUF, on, (24 * GIB,))
    check(found)
    assert found.of("kv_cache") == 2 * 16384 * 32 * 8 * 256 * 34 // 32
    off = ollama.Settings.read({**environment, "OLLAMA_FLASH_ATTENTION": "0", "OLLAMA_NUM_PARALLEL": "1"})
    without = ollama.estimate(GGUF, off, (24 * GIB,))
    assert without.of("kv_cache") == 16384 * 32 * 8 * 256 * 2
    assert "ignored" in " ".join(without.notes)


def test_ollama_never_gives_more_context_than_the_model_has() -> None:
    phi = catalog.model("phi-4", "Q4_K_M")
    found = ollama.estimate(phi, ollama.Settings(), (48 * GIB,))
    assert found.request.context == 16384
    asked = ollama.estimate(phi, ollama.Settings(context=32768), (48 * GIB,))
    assert "context 32768 is cut to 16384" in " ".join(asked.notes)
    assert "cut" not in " ".join(ollama.estimate(phi, ollama.Settings(context=16384), (48 * GIB,)).notes)


def test_ollama_counts_a_vision_part() -> None:
    # Any model has weights; a vision part's own file would do no other.
    part = replace(catalog.model("llama-3.2-1b", "Q8_0"), kind="mmproj")
    settings = ollama.Settings(context=4096)
    plain = ollama.estimate(GGUF, settings, (24 * GIB,))
    seeing = ollama.estimate(GGUF, settings, (24 * GIB,), mmproj=part)
    assert seeing.request.mmproj is part
    assert seeing.cards[0].expected - plain.cards[0].expected >= part.file_bytes


def test_ollama_holds_several_models_each_with_a_process() -> None:
    settings = ollama.Settings(context=4096, max_loaded_models=2)
    models = [catalog.model(name, "Q4_K_M") for name in ("llama-3.2-1b", "llama-3.1-8b", "qwen3-4b")]
    each = tuple(ollama.estimate(model, settings, (24 * GIB,)) for model in models)
    (card,) = ollama.together(each, settings)
    assert card.high == each[1].cards[0].high + each[2].cards[0].high
    assert sum(term.part == "context_overhead" for term in card.terms) == 2
    assert ollama.loaded_at_once(ollama.Settings(), 2) == 6


def test_ollamas_overhead_is_kept_free_and_nonsense_is_refused() -> None:
    kept = ollama.estimate(GGUF, ollama.Settings(context=4096, gpu_overhead_bytes=GIB), (24 * GIB,))
    free = ollama.estimate(GGUF, ollama.Settings(context=4096), (24 * GIB,))
    assert kept.cards[0].high - free.cards[0].high == GIB
    with pytest.raises(BadInput, match="OLLAMA_NUM_PARALLEL"):
        ollama.Settings.read({"OLLAMA_NUM_PARALLEL": "many"})


@pytest.mark.parametrize("name", catalog.diffusion_names())
@pytest.mark.parametrize("engine", ["comfyui", "diffusers", "stable-diffusion.cpp"])
def test_every_image_and_video_model_has_an_estimate(name: str, engine: diffusion.DiffusionEngine) -> None:
    model = catalog.diffusion_model(name)
    frames = 1 if model.kind == "image" else 49
    asked = diffusion.DiffusionRequest(
        engine, 832, 480, catalog.quantization("bf16"), catalog.quantization("bf16"), frames
    )
    found = diffusion.estimate(model, asked)
    check(found)
    assert found.cards[0].expected > 2 * model.backbone.parameters


def test_quantized_flux_shrinks_and_larger_images_grow() -> None:
    model, eight = catalog.diffusion_model("flux.1-dev"), catalog.quantization("fp8")

    def card(quant: str, size: int) -> int:
        asked = diffusion.DiffusionRequest("comfyui", size, size, catalog.quantization(quant), eight)
        return diffusion.estimate(model, asked).cards[0].expected

    assert card("bf16", 1024) > card("fp8", 1024) > card("nf4", 1024)
    assert card("fp8", 2048) > card("fp8", 1024)
    assert card("fp8", 1024) < 16 * GIB < card("bf16", 1024)


@pytest.mark.parametrize("name", catalog.whisper_names())
def test_whisper_fits_what_its_readme_asks_for(name: str) -> None:
    model = catalog.whisper_model(name)
    found = whisper.estimate(model, catalog.quantization("fp16"))
    check(found)
    assert found.cards[0].expected - found.cards[0].of("context_overhead") < model.openai_vram_gb * 10**9
    own = whisper.estimate(model, catalog.quantization("fp16"), engine="openai-whisper")
    assert own.cards[0].high >= model.openai_vram_gb * 10**9


# faster-whisper README v1.1.0 (large-v2 on an RTX 3070 Ti, which has large-v3's shape), its issues 1030 (turbo on an
# RTX 2080 Ti) and 1257 (turbo with 80 windows at once).
@pytest.mark.parametrize(
    ("name", "quant", "batch", "mib_measured"),
    [
        ("whisper-large-v3", "fp16", 1, 4525),
        ("whisper-large-v3", "int8", 1, 2926),
        ("whisper-large-v3", "fp16", 8, 6090),
        ("whisper-large-v3", "int8", 8, 4500),
        ("whisper-large-v3-turbo", "fp16", 1, 2537),
        ("whisper-large-v3-turbo", "int8", 1, 1545),
        ("whisper-large-v3-turbo", "fp16", 80, 19 * 1024),
    ],
)
def test_whisper_with_windows_at_once(name: str, quant: str, batch: int, mib_measured: int) -> None:
    found = whisper.estimate(catalog.whisper_model(name), catalog.quantization(quant), batch=batch)
    check(found)
    card = found.cards[0]
    assert card.low <= mib_measured * MIB <= card.high
    assert card.expected == pytest.approx(mib_measured * MIB, rel=0.12)


@pytest.mark.parametrize(("quant", "bytes_per_parameter"), [("fp16", 2), ("int8", 2), ("fp32", 4)])
def test_whisper_s_weights_are_in_ram_before_they_are_on_the_card(
    quant: str, bytes_per_parameter: int
) -> None:
    model = catalog.whisper_model("whisper-large-v3")
    host = whisper.estimate(model, catalog.quantization(quant)).host
    assert mib(host.high) == mib(1_543_490_560 * bytes_per_parameter)


def test_transformers_cache_grows_with_the_context() -> None:
    short, long = (
        transformers.estimate(LLAMA, Request(engine="transformers", context=tokens))
        for tokens in (2048, 8192)
    )
    check(short)
    assert long.of("kv_cache") == 4 * short.of("kv_cache") == 8192 * 32 * 8 * 256 * 2
    halves = transformers.estimate(LLAMA, Request(engine="transformers", context=2048, n_gpus=2))
    assert halves.cards[0].of("weights") == -(-LLAMA.file_bytes // 2)


def test_a_declared_claim_is_the_whole_claim() -> None:
    found = declared.estimate("thing", 6144, n_gpus=2, host_mib=512)
    assert [mib(card.high) for card in found.cards] == [6144, 6144]
    assert found.cards[0].low == found.cards[0].high == 6144 * MIB
    assert mib(found.host.expected) == 512
    with pytest.raises(BadInput, match=r"thing\.vram_mib"):
        declared.estimate("thing", -1)


def test_claims_are_rounded_up() -> None:
    assert mib(1) == 1
    assert mib(MIB) == 1
    assert mib(MIB + 1) == 2


def expected(found: Estimate, name: str) -> int:
    """The terms of that name on the first card."""
    return sum(term.expected for term in found.cards[0].terms if term.name == name)


def transformers_with(flash_attention: bool | None, prompt: int = 30720, model: str = "qwen3-8b") -> Estimate:
    asked = Request(engine="transformers", context=32768, flash_attention=flash_attention)
    return transformers.estimate(catalog.model(model, "bf16"), asked, prompt=prompt)


def test_without_flash_attention_one_layers_cache_is_repeated_for_every_head() -> None:
    assert expected(transformers_with(True), "one layer's cache, repeated") == 0
    assert expected(transformers_with(None), "one layer's cache, repeated") == 2 * 32 * 256 * 32768


def test_a_prompt_takes_what_is_more_than_the_caches_later_growth() -> None:
    qwen = catalog.model("qwen3-8b", "bf16")
    unfilled = (32768 - 30720) * 36 * 8 * 256 * 2
    peak = 2 * 30720 * (3 * 12288 + 4 * qwen.n_embd)
    assert expected(transformers_with(True), "prompt activations") == peak - unfilled
    assert expected(transformers_with(True, prompt=1), "prompt activations") == 0


def test_eager_attention_makes_all_scores() -> None:
    assert expected(transformers_with(False), "prompt activations") > 8 * 32 * 30720**2 - 10 * GIB


def test_gptq_unpacks_its_largest_matrix_and_fp8_brings_its_own_output() -> None:
    asked = Request(engine="transformers", context=2048)
    gptq = transformers.estimate(catalog.model("qwen2.5-32b", "gptq-int4"), asked)
    assert expected(gptq, "unpacked matrix") == 2 * 27648 * 5120
    tied = transformers.estimate(catalog.model("qwen3-4b", "fp8"), asked)
    assert expected(tied, "output projection") == 2 * 151936 * 2560
    untied = transformers.estimate(catalog.model("qwen3-8b", "fp8"), asked)
    assert expected(untied, "output projection") == 0


def flux(engine: diffusion.DiffusionEngine, offload: str = "none") -> Estimate:
    asked = diffusion.DiffusionRequest(
        engine, 1024, 1024, catalog.quantization("bf16"), catalog.quantization("bf16"),
        offload="model" if offload == "model" else "none",
    )  # fmt: skip
    return diffusion.estimate(catalog.diffusion_model("flux.1-dev"), asked)


def test_with_everything_loaded_decoding_is_the_peak_and_with_offload_denoising() -> None:
    names = [[term.name for term in flux("diffusers", each).cards[0].terms] for each in ("none", "model")]
    assert any(name.startswith("decoding") for name in names[0])
    assert "allocator" in names[0]
    assert any(name.startswith("denoising") for name in names[1])
    assert "allocator" not in names[1]
    assert flux("diffusers", "model").cards[0].high < flux("diffusers").cards[0].low


def test_comfyui_may_keep_the_backbone_while_it_decodes() -> None:
    comfy, offloaded = flux("comfyui"), flux("diffusers", "model")
    assert comfy.cards[0].high > offloaded.cards[0].high
