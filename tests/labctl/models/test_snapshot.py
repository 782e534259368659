"""Which files of a repository an engine gets that reads a folder."""

import pytest

from labctl.models.snapshot import snapshot

SMALL = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja")


@pytest.mark.parametrize(
    ("more", "weights"),
    [
        (("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"), None),
        (
            ("model.safetensors", "pytorch_model.bin", "flax_model.msgpack", "tf_model.h5"),
            ["model.safetensors"],
        ),
        (("pytorch_model.bin",), None),
        (("model.safetensors", "consolidated.safetensors"), ["model.safetensors"]),
        (("consolidated.safetensors",), None),
        (("model.safetensors", "original/model.safetensors", "onnx/model.onnx"), ["model.safetensors"]),
        (("model.safetensors", "model.fp16.safetensors", "q-Q4_K_M.gguf"), ["model.safetensors"]),
        (("model.fp16.safetensors",), None),
    ],
)
def test_weights_come_once_and_all_that_is_small(more: tuple[str, ...], weights: list[str] | None) -> None:
    found = snapshot([*SMALL, *more, "README.md", ".gitattributes", "figures/a.png"])
    assert found == tuple(sorted([*SMALL, *(weights or more)]))


def test_a_pipeline_s_parts_lie_in_folders() -> None:
    parts = ("model_index.json", "transformer/diffusion_pytorch_model.safetensors", "vae/config.json")
    assert snapshot([*parts, "flux1-dev.safetensors"]) == tuple(sorted(parts))


def test_without_weights_there_is_nothing() -> None:
    assert snapshot([*SMALL, "q-Q4_K_M.gguf"]) == ()
