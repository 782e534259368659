"""The language models: every file is whole, its shape makes its parameter count, its sizes are the published ones."""

from pathlib import Path

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.models import catalogue

RECORDS = catalog.model_records()
LLAMA = (catalog.ROOT / "models" / "llama-3.1-8b.yaml").read_text()
GIB = 1024**3


@pytest.mark.parametrize("path", sorted((catalog.ROOT / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_model_is_whole_and_is_called_as_its_file(path: Path) -> None:
    record = catalogue.parse(path.read_text(), path.name)
    assert record.name == path.stem
    assert record.shape is not None or record.parameters is not None or record.note


def test_shapes_make_the_published_parameter_counts() -> None:
    both = [record for record in RECORDS if record.shape and record.parameters]
    assert len(both) >= 15
    for record in both:
        model = catalogue.build(record, catalog.quantization("bf16"))
        assert model.parameters.total == (record.parameters or 0) + record.other_parameters
        assert model.confidence == "high"
        assert model.n_layers == len(model.layers) > 0


# What the publishers call them. https://huggingface.co/docs or the models' own pages name these counts.
@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("llama-3.1-405b", 405.85),
        ("llama-3.2-1b", 1.24),
        ("llama-3.2-3b", 3.21),
        ("llama-3.2-11b-vision", 10.67),
        ("qwen3-0.6b", 0.596),
        ("qwen3-4b", 4.02),
        ("qwen3-8b", 8.19),
        ("qwen3-14b", 14.77),
        ("gemma-2-9b", 9.24),
        ("gemma-3-12b", 12.187),
        ("phi-4", 14.66),
        ("mistral-large-123b", 122.61),
        ("mixtral-8x22b", 140.62),
        ("qwen2.5-0.5b", 0.494),
        ("qwen2.5-72b", 72.7),
        ("mistral-small-24b", 24.01),
        ("command-r-35b", 34.98),
        ("glm-4-9b", 9.40),
        ("granite-3.3-8b", 8.17),
        ("glm-4.5-air", 106.85),
    ],
)
def test_counts_that_no_log_printed_come_out_right(name: str, billions: float) -> None:
    model = catalog.model(name, "bf16")
    assert model.parameters.total / 1e9 == pytest.approx(billions, rel=0.005)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("deepseek-r1", 37.6),
        ("gpt-oss-120b", 5.1),
        ("qwen3-30b-a3b", 3.3),
        ("mixtral-8x7b", 12.9),
        ("glm-4.5-air", 12.0),
    ],
)
def test_experts_that_are_not_in_use_are_not_read(name: str, billions: float) -> None:
    assert catalog.model(name, "bf16").active_parameters / 1e9 == pytest.approx(billions, rel=0.1)


@pytest.mark.parametrize(
    ("name", "quant", "gib"),
    [
        # https://github.com/ggml-org/llama.cpp, tools/quantize/README.md
        ("llama-3.1-8b", "Q8_0", 7.95),
        ("llama-3.1-8b", "IQ4_XS", 4.17),
        ("llama-3.1-70b", "Q4_K_M", 43.1e9 / GIB),
        ("llama-3.1-405b", "Q4_K_M", 249.1e9 / GIB),
    ],
)
def test_file_sizes_are_the_published_ones(name: str, quant: str, gib: float) -> None:
    assert catalog.model(name, quant).file_bytes / GIB == pytest.approx(gib, rel=0.015)


def test_a_published_size_goes_before_a_computed_one() -> None:
    model = catalog.model("llama-3.1-8b", "Q4_K_M")
    assert model.file_bytes == 4912898304
    assert "as published" in model.notes[0]


def test_most_used_models_have_published_sizes() -> None:
    sized = [
        record for record in RECORDS if {"Q4_K_M", "Q8_0", "MXFP4"} & {each.quant for each in record.files}
    ]
    assert len(sized) >= 45
    for record in sized:
        for each in record.files:
            if not each.quant.startswith("UD-"):
                assert catalogue.build(record, catalog.quantization(each.quant)).file_bytes == each.bytes


def test_computed_sizes_are_near_the_published_and_hardly_ever_low() -> None:
    off = []
    for record in RECORDS:
        bare = record.model_copy(update={"files": []})
        for each in record.files:
            if record.shape and not each.quant.startswith("UD-"):
                computed = catalogue.build(bare, catalog.quantization(each.quant)).file_bytes
                off.append((computed / each.bytes - 1, record.name, each.quant))
    off.sort()
    assert len(off) >= 140
    # The lowest are models of a few hundred million, whose vocabulary in the file counts.
    assert off[0][0] > -0.035
    assert off[-1][0] < 0.14
    assert abs(off[len(off) // 2][0]) < 0.003


def test_windows_and_latents_reach_the_layers() -> None:
    gemma = catalog.model("gemma-3-27b", "Q4_K_M")
    assert [layer.attention.window for layer in gemma.layers[:6] if layer.attention] == [1024] * 5 + [None]
    deepseek = catalog.model("deepseek-v3-671b", "awq")
    assert all(layer.attention and layer.attention.latent for layer in deepseek.layers)
    assert [layer.experts is None for layer in deepseek.layers[:4]] == [True, True, True, False]


def test_a_model_of_which_only_the_size_is_known_says_so() -> None:
    model = catalog.model("llama-nemotron-ultra-253b", "Q4_K_M")
    assert (model.layers, model.confidence) == ((), "low")
    assert model.file_bytes > 145e9


def test_a_model_of_which_nothing_is_known_is_refused() -> None:
    text = "\n".join(
        "shape: null" if line.startswith("shape:") else line
        for line in LLAMA.replace("parameters: 8030261312", "parameters: null").splitlines()
    )
    with pytest.raises(BadInput, match="neither shape nor parameters"):
        catalogue.build(catalogue.parse(text, "llama.yaml"), catalog.quantization("Q4_K_M"))


def test_aliases_name_one_model() -> None:
    assert catalog.model_record("meta-llama/Llama-3.1-8B-Instruct").name == "llama-3.1-8b"
    assert catalog.model_record("deepseek-r1").name == "deepseek-v3-671b"
    with pytest.raises(BadInput, match=r"did you mean.*llama-3\.1-8b"):
        catalog.model_record("llama-3.1-8c")
    seen: dict[str, str] = {}
    for record in RECORDS:
        for name in {record.name, *(alias.lower() for alias in record.aliases)}:
            assert seen.setdefault(name, record.name) == record.name


def test_the_usual_quantizations_are_there() -> None:
    wanted = "Q2_K Q3_K_M Q4_K_M Q5_K_M Q6_K Q8_0 F16 IQ2_XS IQ4_XS MXFP4 awq gptq-int4 fp8 bf16 nf4"
    for name in wanted.split():
        assert catalog.quantization(name).source


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "layers: 32",
            "layers: 31",
            r"llama\.yaml:1: the shape makes 7812\d+ parameters, the file says 8030261312",
        ),
        ("vocab: 128256", "vocab: 0", r"llama\.yaml:8: `shape\.vocab`: .*more than 0"),
        ("kind: llm", "kind: animal", r"llama\.yaml:4: `kind`"),
        ("kv_heads: 8", "kv_heads: [8, 8]", "kv_heads has 2 entries for 32 layers"),
    ],
)
def test_a_wrong_model_is_told_with_its_line(before: str, after: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        catalogue.parse(LLAMA.replace(before, after, 1), "llama.yaml")


def test_what_is_newer_is_there_and_never_comes_back_to_itself() -> None:
    newer = {record.name: record.newer for record in catalog.model_records()}
    for name, next_one in newer.items():
        seen, at = [name], next_one
        while at is not None:
            assert at in newer, f"{seen[-1]}: no {at}"
            assert at not in seen, seen
            seen.append(at)
            at = newer[at]


SEEING = tuple(record for record in RECORDS if "vision" in record.uses)


def test_whatever_sees_says_how_much_of_it_is_for_seeing() -> None:
    assert len(SEEING) >= 24
    assert [record.name for record in SEEING if record.other_parameters == 0] == []


@pytest.mark.parametrize("record", SEEING, ids=lambda record: record.name)
def test_the_vision_part_is_counted_once(record: catalogue.ModelRecord) -> None:
    """Beside a GGUF, in 16 bits; among the model's own parameters in every other container."""
    part = catalogue.vision_part(record)
    assert part is not None
    assert part.file_bytes == 2 * record.other_parameters
    whole = catalogue.build(record, catalog.quantization("bf16")).parameters
    text = catalogue.build(record, catalog.quantization("Q4_K_M"))
    assert text.parameters.other == 0
    assert text.parameters.total + part.parameters.total == whole.total
    # Biases, and norms that the outline does not name, are below 1 %.
    elements = sum(tensor.n_elements for tensor in text.tensors)
    assert elements == pytest.approx(text.parameters.total, rel=0.01)


def test_a_model_that_reads_only_has_no_vision_part() -> None:
    assert catalogue.vision_part(catalog.model_record("llama-3.1-8b")) is None


# https://huggingface.co/unsloth/Qwen3.5-9B-GGUF, mmproj-F16.gguf: 918,166,080 bytes; the 4B's is listed as 672 MB.
# The files keep position embedding and norms in 32 bits.
@pytest.mark.parametrize(("name", "n_bytes"), [("qwen3.5-9b", 918_166_080), ("qwen3.5-4b", 672e6)])
def test_a_vision_part_is_as_large_as_the_published_file(name: str, n_bytes: float) -> None:
    part = catalogue.vision_part(catalog.model_record(name))
    assert part is not None
    assert part.file_bytes == pytest.approx(n_bytes, rel=0.01)


@pytest.mark.parametrize(
    "record", [each for each in RECORDS if each.hub.published or each.hub.gguf], ids=lambda each: each.name
)
def test_where_a_model_lies_on_the_hub_is_written_in_its_sources(record: catalogue.ModelRecord) -> None:
    named = [*record.aliases, *record.sources, *(file.source for file in record.files)]
    for repository in (record.hub.published, record.hub.gguf):
        assert repository is None or any(repository in each for each in named)
