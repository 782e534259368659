"""Ollama: llama.cpp's memory, with Ollama's own defaults, for as many models as it keeps loaded.

It starts a llama-server per model. What it decides itself is the context (by how much memory all cards have), how many
requests share it, and how many models stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from labctl.errors import BadInput
from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, Term
from labctl.estimate.llama_cpp.estimate import estimate as estimate_llama_cpp
from labctl.models.model import Model

GIB = 1024 * MIB
# Default context by the memory of all cards together: envconfig and server/routes.go of https://github.com/ollama/ollama.
DEFAULT_CONTEXTS = ((47 * GIB, 262144), (23 * GIB, 32768), (0, 4096))
SOURCE = "https://github.com/ollama/ollama, envconfig/config.go and server/sched.go"
MODELS_PER_CARD = 3
TRUE = {"1", "true", "t", "yes", "on"}


@dataclass(frozen=True)
class Settings:
    """OLLAMA_* as Ollama reads them. context: None for the default by memory. gpu_overhead_bytes: free per card."""

    context: int | None = None
    parallel: int = 1
    max_loaded_models: int | None = None
    kv_type: str = "f16"
    flash_attention: bool | None = None
    gpu_overhead_bytes: int = 0
    spread: bool = False

    @staticmethod
    def read(environment: Mapping[str, str]) -> "Settings":
        """From the service's environment. Raises BadInput for a number that is none."""
        flash = environment.get("OLLAMA_FLASH_ATTENTION")
        return Settings(
            context=_number(environment, "OLLAMA_CONTEXT_LENGTH") or None,
            parallel=_number(environment, "OLLAMA_NUM_PARALLEL") or 1,
            max_loaded_models=_number(environment, "OLLAMA_MAX_LOADED_MODELS") or None,
            kv_type=environment.get("OLLAMA_KV_CACHE_TYPE", "f16") or "f16",
            flash_attention=None if flash is None else flash.lower() in TRUE,
            gpu_overhead_bytes=_number(environment, "OLLAMA_GPU_OVERHEAD") or 0,
            spread=environment.get("OLLAMA_SCHED_SPREAD", "").lower() in TRUE,
        )


def _number(environment: Mapping[str, str], name: str) -> int | None:
    said = environment.get(name, "").strip()
    if not said:
        return None
    if not said.isdecimal():
        raise BadInput(
            "not a whole number", where=name, found=said, expected="0 or more", hint="Ollama ignores it"
        )
    return int(said)


def default_context(card_memory_bytes: tuple[int, ...]) -> int:
    """What a request may reach when nobody says so: by the memory of all cards together."""
    total = sum(card_memory_bytes)
    return next(context for least, context in DEFAULT_CONTEXTS if total >= least)


def loaded_at_once(settings: Settings, cards: int) -> int:
    """How many models stay in memory: as set, else three per card."""
    return settings.max_loaded_models or MODELS_PER_CARD * max(1, cards)


def estimate(
    model: Model,
    settings: Settings,
    card_memory_bytes: tuple[int, ...],
    *,
    mmproj: Model | None = None,
) -> Estimate:
    """One loaded model on these cards, with Ollama's defaults. Without flash attention, its cache is F16.

    mmproj: the vision part, which Ollama loads whenever a model comes with one.
    """
    wanted = settings.context or default_context(card_memory_bytes)
    context = min(wanted, model.context_train) if model.context_train else wanted
    quantized = settings.kv_type not in ("f16", "bf16", "f32")
    kv_type = "f16" if quantized and settings.flash_attention is False else settings.kv_type
    request = Request(
        engine="ollama",
        context=context,
        parallel=settings.parallel,
        kv_type_k=kv_type,
        kv_type_v=kv_type,
        flash_attention=settings.flash_attention,
        n_gpus=max(1, len(card_memory_bytes)),
        card_memory_bytes=card_memory_bytes,
        prompt_cache_mib=0,
        mmproj=mmproj,
    )
    found = estimate_llama_cpp(model, request)
    notes = list(found.notes)
    if kv_type != settings.kv_type:
        notes.append(f"OLLAMA_KV_CACHE_TYPE={settings.kv_type} is ignored without flash attention")
    if settings.context is None:
        notes.append(f"context {wanted}: Ollama's default for {sum(card_memory_bytes) // GIB} GiB of cards")
    if context < wanted:
        notes.append(
            f"context {wanted} is cut to {context}: Ollama gives no more than the model was trained on"
        )
    if settings.gpu_overhead_bytes:
        overhead = settings.gpu_overhead_bytes
        kept = Term("scratch", "OLLAMA_GPU_OVERHEAD", 0, 0, overhead, f"{overhead} B kept free", SOURCE)
        cards = tuple(PlaceEstimate(card.name, (*card.terms, kept)) for card in found.cards)
        found = replace(found, cards=cards)
    return replace(found, request=request, notes=tuple(notes))


def together(estimates: tuple[Estimate, ...], settings: Settings) -> tuple[PlaceEstimate, ...]:
    """What the cards hold when the largest models that may be loaded at once are: a process and a context each.

    Ollama evicts the least used model for a new one, so the peak is any `loaded_at_once` of them: the largest.
    """
    if not estimates:
        return ()
    cards = max(len(each.cards) for each in estimates)
    count = loaded_at_once(settings, cards)
    largest = sorted(estimates, key=lambda each: -sum(card.high for card in each.cards))[:count]
    return tuple(
        PlaceEstimate(
            str(index),
            tuple(
                replace(term, name=f"{each.model}: {term.name}")
                for each in largest
                if index < len(each.cards)
                for term in each.cards[index].terms
            ),
        )
        for index in range(cards)
    )
