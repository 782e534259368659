"""Recurrent layers as steps of the graph (src/models/mamba-base.cpp and its relatives)."""

from labctl.estimate.llama_cpp.graph import Value
from labctl.estimate.llama_cpp.kv_cache import Batch
from labctl.estimate.llama_cpp.transformer import Block
from labctl.models.layer import Layer


def recurrent(block: Block, layer: Layer, normed: Value, sizes: Batch) -> Value:
    raise NotImplementedError
