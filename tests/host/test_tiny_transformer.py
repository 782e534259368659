"""A tiny model as the hub has them: read by labctl's own reader, the same each time."""

import json
from pathlib import Path

from labctl.edges.model_reader import read_model
from tests.host.tiny_transformer import CONTEXT_TOKENS, write_tiny_transformer


def test_it_is_a_model_as_the_hub_has_them(tmp_path: Path) -> None:
    write_tiny_transformer(tmp_path / "tiny")
    model = read_model(str(tmp_path / "tiny")).model
    assert (model.n_layers, model.context_train) == (2, CONTEXT_TOKENS)


def test_the_same_bytes_each_time_and_a_token_for_every_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_tiny_transformer(tmp_path / name)
    first, second = (tmp_path / name / "model.safetensors" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    tokenizer = json.loads((tmp_path / "a" / "tokenizer.json").read_text())
    config = json.loads((tmp_path / "a" / "config.json").read_text())
    assert len(tokenizer["model"]["vocab"]) == 256
    assert len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"]) == config["vocab_size"]
