"""config.json and the GGUF header of one model are the same model."""

import json
from dataclasses import replace
from functools import cache

import pytest

from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.hf_config import model_from_config
from labctl.models.layer import Layer
from labctl.models.model import Model
from labctl.models.source import BytesInMemory
from tests.labctl.models.true_configs import CONFIGS
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import header_bytes


@cache
def by_header(name: str) -> Model:
    head, data = header_bytes(SHAPES[name]())
    source = BytesInMemory(name, head)
    source.size = len(head) + data
    return model_from_gguf([read_gguf_header(source)])


@cache
def by_config(name: str) -> Model:
    return model_from_config(name, json.dumps(CONFIGS[name]).encode())


def loaded(model: Model) -> list[Layer]:
    return [layer for layer in model.layers if layer.loaded]


def test_every_header_has_its_config() -> None:
    assert set(CONFIGS) == set(SHAPES)
    assert len({CONFIGS[name].get("text_config", CONFIGS[name]).get("model_type") for name in CONFIGS}) >= 20


@pytest.mark.parametrize("name", CONFIGS)
def test_attention_is_the_same_in_every_layer(name: str) -> None:
    here, there = loaded(by_config(name)), loaded(by_header(name))
    assert [layer.attention for layer in here] == [layer.attention for layer in there]


@pytest.mark.parametrize("name", CONFIGS)
def test_recurrent_states_are_the_same_in_every_layer(name: str) -> None:
    here, there = loaded(by_config(name)), loaded(by_header(name))
    assert [layer.recurrent for layer in here] == [layer.recurrent for layer in there]


def with_shared(model: Model) -> list[Layer]:
    """The header's layers, with the shared experts' size from the tensor where metadata do not say it."""
    shapes = {tensor.name: tensor.shape for tensor in model.tensors}
    return [
        replace(layer, experts=replace(layer.experts, shared_ff_size=shapes[name][1]))
        if layer.experts and (name := f"blk.{number}.ffn_up_shexp.weight") in shapes
        else layer
        for number, layer in enumerate(loaded(model))
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_experts_and_feed_forward_are_the_same_in_every_layer(name: str) -> None:
    here, there = loaded(by_config(name)), with_shared(by_header(name))
    assert [layer.experts for layer in here] == [layer.experts for layer in there]
    assert [layer.ff_size for layer in here] == [layer.ff_size for layer in there]


@pytest.mark.parametrize("name", CONFIGS)
def test_parameters_are_the_same_within_a_hundredth(name: str) -> None:
    here, there = by_config(name), by_header(name)
    vision = here.parameters.other
    assert here.parameters.total - vision == pytest.approx(there.parameters.total, rel=0.01)
    assert here.parameters.experts == pytest.approx(there.parameters.experts, rel=0.01)
    assert here.active_parameters - vision == pytest.approx(there.active_parameters, rel=0.02)
    assert (here.n_embd, here.tied_embedding) == (there.n_embd, there.tied_embedding)
    assert here.vocab == pytest.approx(there.vocab, rel=0.002)
    assert here.confidence == "medium"
