"""The tensor table of a catalogue model is the one its GGUF file would have."""

import pytest

from labctl.edges import catalog
from labctl.estimate.claim import MIB, Request
from labctl.estimate.llama_cpp.estimate import estimate


@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "gemma-3-27b", "qwen3-30b-a3b", "deepseek-r1", "gpt-oss-20b"]
)
@pytest.mark.parametrize("quant", ["Q4_K_M", "Q8_0", "IQ3_XS"])
def test_bytes_and_elements_add_up(name: str, quant: str) -> None:
    model = catalog.model(name, quant)
    assert sum(tensor.n_bytes for tensor in model.tensors) == model.file_bytes
    elements = sum(tensor.n_elements for tensor in model.tensors)
    assert elements == pytest.approx(model.parameters.total, rel=0.001)


def test_only_gguf_has_a_table() -> None:
    assert catalog.model("llama-3.1-8b", "awq").tensors == ()
    assert catalog.model("llama-nemotron-ultra-253b", "Q4_K_M").tensors == ()


# Buffers that llama.cpp and its fork print at load. gpt-oss on Metal is left out: it maps the file on both sides.
@pytest.mark.parametrize(
    ("name", "quant", "card_mib", "host_mib"),
    [
        # case ik-gemma3-27b-q4km-32k
        ("gemma-3-27b", "Q4_K_M", 15774, 1103),
        # case ik-qwen3-30b-a3b-q4km-32k-2gpu
        ("qwen3-30b-a3b", "Q4_K_M", 16722, 167),
        # case lcpppy-gemma2-27b-q80-a100
        ("gemma-2-27b", "Q8_0", 27591, 1195),
        # case lcpp-glm-z1-32b-iq4xs-32k
        ("glm-z1-32b", "IQ4_XS", 16303, 472),
    ],
)
def test_weights_come_out_as_llama_cpp_logs_them(name: str, quant: str, card_mib: int, host_mib: int) -> None:
    found = estimate(catalog.model(name, quant), Request(engine="llama.cpp", context=4096))
    assert found.cards[0].of("weights") / MIB == pytest.approx(card_mib, rel=0.02)
    assert found.host.of("weights") / MIB == pytest.approx(host_mib, rel=0.02)


def test_an_embedding_that_is_the_output_too_has_the_outputs_type() -> None:
    tied, apart = catalog.model("gemma-3-27b", "Q4_K_M"), catalog.model("llama-3.1-8b", "Q4_K_M")
    assert tied.tensors[0].type == "q6_k"
    assert tied.tensors[0].n_bytes / MIB == pytest.approx(1103, rel=0.001)
    assert [tensor.type for tensor in apart.tensors[:2]] == ["q4_k", "q6_k"]
    assert apart.tensors[0].n_bytes / MIB == pytest.approx(281.8, rel=0.001)


def test_a_latent_is_cached_once_per_token() -> None:
    found = estimate(catalog.model("deepseek-r1", "Q4_K_M"), Request(engine="llama.cpp", context=4096))
    assert found.of("kv_cache") == 61 * 576 * 2 * 4096
