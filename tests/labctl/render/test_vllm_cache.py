"""What vLLM is told of its cache holds the requests that it may get (with less it does not start), and is claimed."""

import re
from itertools import product

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.estimate import vllm
from labctl.estimate.claim import MIB, Estimate, Request
from labctl.models.model import Model
from labctl.plan.claims import estimated_claim
from labctl.render.engine import Loaded, told
from tests.labctl.plan.plans import runs
from tests.labctl.render.cases import SERVICES

MEMORY_MIB = 24123
RATHER_FEW_TOKENS = 4096
_CACHE = re.compile(r"--kv-cache-memory-bytes=(\d+)")


def requests(model: Model) -> list[Request]:
    """Contexts, requests at once, ranks and types of cache that a plan may ask of a model."""
    contexts = {min(each, model.context_train or each) for each in (RATHER_FEW_TOKENS - 1, 131072)}
    return [
        Request(
            "vllm", context, parallel, tensor_parallel=ranks, n_gpus=ranks, kv_type_k=kv_type, kv_type_v=kv_type,
            card_memory_bytes=(MEMORY_MIB * MIB,) * ranks,
        )
        for context, parallel, ranks, kv_type in product(sorted(contexts), (1, 3), (1, 2), ("f16", "fp8"))
    ]  # fmt: skip


def words(request: Request, estimate: Estimate) -> str:
    """The command line of a plan with this estimate."""
    cards = tuple(
        estimated_claim("vllm", f"card {each.name}", position, each)
        for position, each in enumerate(estimate.cards)
    )
    variant = {
        "engine": "vllm", "quant": "bf16", "context": request.context, "parallel": request.parallel,
        "kv_type": request.kv_type_k, "tensor_parallel": request.tensor_parallel,
    }  # fmt: skip
    planned = runs("vllm", model="m", cards=cards, variant=variant)
    memory: dict[str, int | None] = {each.card: MEMORY_MIB for each in cards}
    return " ".join(told(planned, SERVICES["vllm"], Loaded("/models/m", None, memory, {})).args)


@pytest.mark.parametrize("name", catalog.model_names())
def test_the_cache_holds_every_request_and_the_claim_holds_the_cache(name: str) -> None:
    model = catalog.model(name, "bf16")
    for request in requests(model):
        try:
            estimate = vllm.estimate(model, request)
        except BadInput:  # heads that so many ranks cannot share
            continue
        found = _CACHE.search(words(request, estimate))
        pool = vllm.pool(model, request)
        if not pool.block_bytes:
            assert found is None
            continue
        assert found is not None
        n_bytes = int(found[1])
        assert pool.requests_in(n_bytes) >= request.parallel
        for card in estimate.cards:
            others = sum(term.high for term in card.terms if term.part != "kv_cache")
            claim = estimated_claim("vllm", card.name, 0, card)
            assert others + n_bytes <= claim.high_mib * MIB
