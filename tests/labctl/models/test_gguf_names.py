"""What file names say, in the ways that repositories write them."""

import pytest

from labctl.models.gguf_names import choose, gguf_files, parts_beside, quant_of


@pytest.mark.parametrize(
    ("name", "quant"),
    [
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "Q4_K_M"),
        ("gemma-2-9b-it.Q8_0.gguf", "Q8_0"),
        ("UD-Q2_K_XL/DeepSeek-R1-UD-Q2_K_XL-00001-of-00005.gguf", "UD-Q2_K_XL"),
        ("Q4_K_M/00001.gguf", "Q4_K_M"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("gpt-oss-120b-MXFP4_MOE-00001-of-00003.gguf", "MXFP4_MOE"),
        ("Llama-3.2-1B-Instruct-f16.gguf", "F16"),
        ("model.FP16.gguf", "F16"),
        ("Qwen3-0.6B-BF16.gguf", "BF16"),
        ("Phi-4-IQ4_XS.gguf", "IQ4_XS"),
        ("bitnet-TQ2_0.gguf", "TQ2_0"),
        ("mmproj-model-f16.gguf", "F16"),
        ("QwQ-32B.gguf", ""),
        ("Qwen3-Q-Star.gguf", ""),
        ("ggml-model.gguf", ""),
    ],
)
def test_the_quantization_is_in_the_name(name: str, quant: str) -> None:
    assert quant_of(name) == quant


def test_parts_know_each_other() -> None:
    parts = ("a-00001-of-00003.gguf", "a-00002-of-00003.gguf", "a-00003-of-00003.gguf")
    assert all(parts_beside(part) == parts for part in parts)
    assert parts_beside("a.gguf") == ("a.gguf",)
    assert parts_beside("a-00004-of-00003.gguf") == ("a-00004-of-00003.gguf",)
    assert parts_beside("a-00001-of-99999.gguf") == ("a-00001-of-99999.gguf",)


def test_files_are_grouped() -> None:
    names = ["b-Q4_0.gguf", "a-Q4_0.gguf", "imatrix.gguf", "mmproj-F16.gguf", "README.md", "c-F16.gguf"]
    found = gguf_files(names)
    assert [(each.label, each.projector) for each in found] == [
        ("Q4_0", False),
        ("b-Q4_0.gguf", False),
        ("F16", False),
        ("mmproj-F16.gguf", True),
    ]


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [("q8_0", "Q8_0"), ("Q2_K_XL", "UD-Q2_K_XL"), ("Q2_K", None), (None, "Q5_K_M"), ("F16", "F16")],
)
def test_one_is_chosen(asked: str | None, chosen: str | None) -> None:
    sizes = {"m-F16.gguf": 8, "m-Q8_0.gguf": 4, "m-UD-Q2_K_XL.gguf": 1, "m-Q5_K_M.gguf": 3}
    found = choose(gguf_files(sizes), asked, sizes)
    assert (found and found.label) == chosen


def test_the_smallest_is_chosen_where_none_is_usual() -> None:
    sizes = {"m-F16.gguf": 8, "m-IQ1_S.gguf": 1, "m-F32.gguf": 16}
    found = choose(gguf_files(sizes), None, sizes)
    assert found is not None
    assert found.quant == "IQ1_S"
