"""What is planned before a byte is read, worked out once for all formats of a model: the graph has no weights in it."""

from dataclasses import replace
from functools import lru_cache

from labctl.estimate.claim import Request
from labctl.estimate.llama_cpp.graph import Graph
from labctl.estimate.llama_cpp.kv_cache import Batch
from labctl.estimate.llama_cpp.layout import Layout
from labctl.estimate.llama_cpp.schedule import buffer_bytes
from labctl.estimate.llama_cpp.worst_case import worst_case
from labctl.models.model import Model, ParameterCounts

# Ways to run one model that are compared at a time; a graph of a large one takes about a megabyte.
_KEPT = 96


def planned(model: Model, request: Request, places: Layout, sizes: Batch) -> tuple[Graph, dict[int, int]]:
    """The graph, and place → bytes of its compute buffer. Neither is to be changed."""
    alike = replace(request, mmproj=None, draft=None, prompt_cache_mib=None, card_memory_bytes=())
    return _planned(_unweighted(model), alike, places, sizes)


@lru_cache(maxsize=_KEPT)
def _planned(model: Model, request: Request, places: Layout, sizes: Batch) -> tuple[Graph, dict[int, int]]:
    graph = worst_case(model, request, places, sizes)
    return graph, buffer_bytes(graph, pipelined=places.pipelined)


@lru_cache(maxsize=_KEPT)
def _unweighted(model: Model) -> Model:
    """The model as every format of it has it: names and shapes of tensors."""
    return replace(
        model,
        name="",
        quant="",
        parameters=ParameterCounts(0, 0, 0),
        tensors=tuple(replace(tensor, type="", n_bytes=0) for tensor in model.tensors),
        n_files=0,
        file_bytes=0,
        notes=(),
    )
