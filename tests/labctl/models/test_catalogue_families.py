"""Models of the catalogue against the GGUF headers that the oracle is asked with, and against published counts."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate.claim import Request
from labctl.estimate.llama_cpp.estimate import estimate
from labctl.models import catalogue
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.layer import Layer
from labctl.models.model import Model
from labctl.models.source import BytesInMemory
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import header_bytes

# The oracle's name → the catalogue's.
PAIRS = {
    "llama-3.1-8b": "llama-3.1-8b",
    "llama-3.2-1b": "llama-3.2-1b",
    "llama-3.1-70b": "llama-3.1-70b",
    "mistral-7b": "mistral-7b-v0.3",
    "qwen2.5-7b": "qwen2.5-7b",
    "qwen3-14b": "qwen3-14b",
    "phi-4": "phi-4",
    "command-r-35b": "command-r-35b",
    "glm-4-9b": "glm-4-9b",
    "granite-3.3-8b": "granite-3.3-8b",
    "gemma-2-9b": "gemma-2-9b",
    "gemma-3-27b": "gemma-3-27b",
    "gemma-3n-e4b": "gemma-3n-e4b",
    "gpt-oss-20b": "gpt-oss-20b",
    "mixtral-8x7b": "mixtral-8x7b",
    "qwen3-30b-a3b": "qwen3-30b-a3b",
    "llama-4-scout": "llama-4-scout-17b-16e",
    "glm-4.5-air": "glm-4.5-air",
    "qwen3.5-9b": "qwen3.5-9b",
    "qwen3.5-35b-a3b": "qwen3.5-35b-a3b",
    "lfm2-8b-a1b": "lfm2-8b-a1b",
    "nemotron-3-nano-30b": "nemotron-3-nano-30b-a3b",
    "deepseek-v2-lite": "deepseek-coder-v2-lite",
    "deepseek-v3": "deepseek-v3-671b",
    "granite-4-h-small": "granite-4-h-small",
    "falcon-h1-7b": "falcon-h1-7b",
    "jamba-mini": "jamba-mini",
    "mamba2-2.7b": "mamba2-2.7b",
    "rwkv7-2.9b": "rwkv7-2.9b",
    "lfm2-1.2b": "lfm2-1.2b",
    "nemotron-h-8b": "nemotron-h-8b",
    "qwen3-next-80b": "qwen3-next-80b-a3b",
}


class _Hole(BytesInMemory):
    def __init__(self, name: str) -> None:
        head, data = header_bytes(SHAPES[name]())
        super().__init__(name, head)
        self.size = len(head) + data


# Asked for the sake of their architectures; few people run them.
NOT_IN_THE_CATALOGUE = {
    "phi-3.5-moe",
    "mamba-2.8b",
    "rwkv6-3b",
    "qwen1.5-moe-a2.7b",
    "granite-3.1-3b-a800m",
    "command-r7b",
}


def _of_header(name: str) -> Model:
    return model_from_gguf([read_gguf_header(_Hole(name))])


def _loaded(model: Model) -> list[Layer]:
    """Llama 4's headers leave the size of the shared expert to its tensors."""
    layers = [layer for layer in model.layers if layer.loaded]
    if model.architecture != "llama4":
        return layers
    return [
        replace(layer, experts=replace(layer.experts, shared_ff_size=0)) if layer.experts else layer
        for layer in layers
    ]


def test_every_shape_of_the_oracle_is_in_the_catalogue() -> None:
    assert set(PAIRS) | NOT_IN_THE_CATALOGUE == set(SHAPES)


@pytest.mark.parametrize("name", PAIRS)
def test_a_catalogue_model_is_what_its_header_says(name: str) -> None:
    ours, header = catalog.model(PAIRS[name], "Q4_K_M"), _of_header(name)
    assert _loaded(ours) == _loaded(header)
    assert (ours.n_embd, ours.vocab, ours.tied_embedding, ours.architecture) == (
        header.n_embd, header.vocab, header.tied_embedding, header.architecture,
    )  # fmt: skip
    assert ours.parameters.total == pytest.approx(header.parameters.total, rel=0.01)
    assert ours.parameters.experts == pytest.approx(header.parameters.experts, rel=0.001)


@pytest.mark.parametrize("name", PAIRS)
def test_a_catalogue_model_is_estimated_as_its_header_is(name: str) -> None:
    request = Request(engine="llama.cpp", context=8192, parallel=2)
    ours = estimate(catalog.model(PAIRS[name], "Q4_K_M"), request)
    header = estimate(_of_header(name), request)
    assert ours.of("kv_cache") == header.of("kv_cache")
    assert ours.cards[0].of("compute") == pytest.approx(header.cards[0].of("compute"), rel=0.02)


# Published: model cards, the hub's count of parameters, or what llama.cpp prints at load. Billions.
PUBLISHED = {
    "gemma-3n-e4b": 7.85, "gemma-3n-e2b": 5.44, "gemma-3-270m": 0.268, "embeddinggemma-300m": 0.303,
    "qwen3-next-80b-a3b": 79.67, "qwen3-coder-next": 79.67, "qwen3.6-35b-a3b": 35.11, "falcon-h1-7b": 7.59,
    "jamba-mini": 51.6, "mamba2-2.7b": 2.70, "codestral-mamba-7b": 7.29, "rwkv7-2.9b": 2.95, "rwkv7-1.5b": 1.53,
    "lfm2-350m": 0.354, "lfm2-700m": 0.742, "lfm2-1.2b": 1.17, "lfm2-8b-a1b": 8.34, "granite-4-h-small": 32.2,
    "granite-4-h-tiny": 6.94, "granite-4-h-micro": 3.19, "granite-4-micro": 3.40, "nemotron-h-8b": 8.1,
    "nemotron-nano-9b-v2": 8.89, "nemotron-3-nano-30b-a3b": 31.6, "phi-3.5-vision": 4.15, "phi-4-multimodal": 5.57,
    "mistral-nemo-12b": 12.25, "mistral-small-3.2-24b": 24.01, "ministral-8b": 8.02, "qwen2.5-vl-3b": 3.75,
    "qwen2.5-vl-7b": 8.29, "qwen2.5-vl-32b": 33.45, "qwen2.5-vl-72b": 73.41, "qwen3-vl-4b": 4.44, "qwen3-vl-8b": 8.77,
    "qwen3-coder-30b-a3b": 30.53, "qwen3-coder-480b-a35b": 480.15, "glm-4.6": 355, "kimi-k2": 1026,
    "llama-4-maverick-17b-128e": 401.58, "llama-4-scout-17b-16e": 108.64,
    "gemma-3-4b": 4.300, "gemma-3-12b": 12.187, "gemma-3-27b": 27.432,
    "deepseek-r1-distill-qwen-1.5b": 1.78, "deepseek-r1-distill-qwen-32b": 32.76,
    "smollm3-3b": 3.08, "all-minilm-l6-v2": 0.0227, "all-minilm-l12-v2": 0.0334, "bge-base-en-v1.5": 0.109,
    "mxbai-embed-large": 0.335, "bge-m3": 0.568, "bge-reranker-v2-m3": 0.568, "multilingual-e5-large": 0.560,
    "nomic-embed-text-v1.5": 0.1367, "qwen3-embedding-0.6b": 0.596, "qwen3-embedding-4b": 4.02,
    "qwen3-embedding-8b": 7.57, "qwen3-reranker-8b": 8.19,
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_the_published_ones(name: str) -> None:
    assert catalog.model(name, "bf16").parameters.total / 1e9 == pytest.approx(PUBLISHED[name], rel=0.01)


@pytest.mark.parametrize("name", [*PUBLISHED, "qwen3.6-27b"])
@pytest.mark.parametrize("quant", ["Q4_K_M", "Q8_0"])
def test_a_family_has_the_tensors_of_its_file(name: str, quant: str) -> None:
    model = catalog.model(name, quant)
    assert sum(tensor.n_bytes for tensor in model.tensors) == model.file_bytes
    assert min(tensor.n_bytes for tensor in model.tensors) > 0
    elements = sum(tensor.n_elements for tensor in model.tensors)
    assert elements == pytest.approx(model.parameters.total, rel=0.005)
    names = [tensor.name for tensor in model.tensors]
    assert len(names) == len(set(names))


def test_encoders_cache_nothing_and_decoders_that_embed_do() -> None:
    encoder, decoder = catalog.model("bge-m3", "F16"), catalog.model("qwen3-embedding-0.6b", "F16")
    assert not any(layer.attention and layer.attention.caches for layer in encoder.layers)
    assert all(layer.attention and layer.attention.caches for layer in decoder.layers)
    assert (encoder.parameters.output, encoder.kind, decoder.kind) == (0, "embedding", "embedding")


def test_hybrids_keep_little_beside_a_dense_model_of_their_size() -> None:
    request = Request(engine="llama.cpp", context=131072)
    hybrid = estimate(catalog.model("granite-4-h-tiny", "Q4_K_M"), request).of("kv_cache")
    dense = estimate(catalog.model("qwen2.5-7b", "Q4_K_M"), request).of("kv_cache")
    assert hybrid < dense / 3
    state = catalog.model("rwkv7-2.9b", "Q4_K_M")
    assert estimate(state, request).of("kv_cache") == estimate(state, replace(request, context=512)).of(
        "kv_cache"
    )


USES = ("chat", "code", "vision", "embedding", "reranking", "reasoning", "image", "video", "speech")


@pytest.mark.parametrize("use", USES)
def test_every_use_has_models(use: str) -> None:
    assert len(catalog.used_for(use)) >= 4


def test_every_model_says_what_it_is_for() -> None:
    named = {name for use in USES for name in catalog.used_for(use)}
    assert named == {*catalog.model_names(), *catalog.diffusion_names(), *catalog.whisper_names()}
    assert catalog.used_for("cooking") == ()


NEMOTRON = (catalog.ROOT / "models" / "nemotron-h-8b.yaml").read_text()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("pattern: rf", "pattern: xf", r"n\.yaml:8: .*pattern has 'x', letters are ARBarfe"),
        ("pattern: rf", "pattern: f", "pattern of 51 does not repeat to 52 layers"),
        ("recurrent: {kind: mamba2", "recurrent: {kind: mamba3", r"n\.yaml:9: `recurrent`.*mamba3"),
        ("uses: [chat]", "uses: [cooking]", r"n\.yaml:10: `uses\.0`"),
        ("uses: [chat]", "uses: []", r"n\.yaml:10: `uses`"),
    ],
)
def test_a_wrong_family_is_told_with_its_line(before: str, after: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        catalogue.parse(NEMOTRON.replace(before, after, 1), "n.yaml")


def test_a_pattern_without_sizes_of_its_recurrence_is_refused() -> None:
    lines = [line for line in NEMOTRON.splitlines() if not line.startswith("recurrent:")]
    with pytest.raises(BadInput, match="recurrent layers need both"):
        catalogue.parse("\n".join(lines), "n.yaml")
