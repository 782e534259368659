"""Formulas of estimators that are no library: what they would say, in MiB, or None where they say nothing.

As documented: Ollama's preflight (server/sched.go and llm/memory.go), gguf-parser-go with its regressions, GPUStack's
resource claim for vLLM. Faults are theirs: first layer's heads for all, no windows, no key length, no cache type.
"""

from labctl.estimate.claim import MIB
from labctl.models.ggml_types import BY_NAME
from labctl.models.layer import Attention
from tests.bench.accuracy_points import Component, Subject

GIB = 1024 * MIB
# The only architectures whose windows gguf-parser-go knows, with the logical batch in place of the physical one.
WINDOWED = {"gemma2", "gemma3", "llama4", "gpt-oss"}
LOGICAL_BATCH = 2048
FOOTPRINT_MIB = 250


def ollama(subject: Subject, component: Component) -> float | None:
    """File, and a cache of min(KV heads) × (width / heads) in 16 bits for every layer."""
    attends = _attentions(subject)
    if not subject.gguf or not attends or component not in ("weights", "kv", "total"):
        return None
    heads = min(each.n_head_kv for each in attends)
    width = subject.model.n_embd // attends[0].n_head
    cache = 2 * len(subject.model.layers) * heads * width * subject.context * subject.parallel * 2 / MIB
    file = subject.model.file_bytes / MIB
    return {"weights": file, "kv": cache, "total": file + cache}[component]


def gguf_parser(subject: Subject, component: Component) -> float | None:
    """File, cache with the first layer's heads, and a graph of mask, norms, one layer's projections and cache."""
    attends = _attentions(subject)
    if not subject.gguf or not attends or component not in ("weights", "kv", "total"):
        return None
    model, first = subject.model, attends[0]
    kind = BY_NAME[subject.kv_type]
    element = kind.block_bytes / kind.block
    # For latent attention it counts the rotary part of keys and values as if they were heads: 320 elements for 576.
    per_token = 320 if first.latent else first.n_head_kv * (first.head_dim_k + first.head_dim_v)
    cache = 0.0
    for each in attends:
        window = each.window if model.architecture in WINDOWED else None
        cells = min(subject.context, window + LOGICAL_BATCH) if window else subject.context
        cache += per_token * cells * subject.parallel * element
    context, tokens = subject.context * subject.parallel, subject.ubatch
    graph = 2 * context * tokens + 2 * 4 * model.n_embd * tokens + cache / len(attends)
    graph += 2 * model.n_embd * first.n_head * first.head_dim_k
    if not subject.flash_attention:
        graph += 4 * context * tokens * first.n_head
    file = model.file_bytes
    total = (file + cache + graph) / MIB + FOOTPRINT_MIB
    return {"weights": file / MIB, "kv": cache / MIB, "total": total}[component]


def gpustack(subject: Subject, component: Component) -> float | None:
    """1.2 × weights + 2 GiB, whatever the context."""
    if subject.gguf or component != "total":
        return None
    return (1.2 * subject.model.file_bytes + 2 * GIB) / MIB


FORMULAS = {
    "Ollama preflight (formula)": ollama,
    "gguf-parser-go (formula)": gguf_parser,
    "GPUStack (formula)": gpustack,
}


def _attentions(subject: Subject) -> list[Attention]:
    return [layer.attention for layer in subject.model.layers if layer.attention]
