"""What each engine is told so that it takes what the plan claims, and no more: flags and variables.

Spelling of flags: llama.cpp at the catalogue's build, tools/server/README.md and common/arg.cpp; vLLM's `serve` page
and `labctl.estimate.vllm.Settings`; Ollama, envconfig/config.go; ComfyUI, comfy/cli_args.py; Axolotl, docs/cli.qmd.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.estimate.claim import ALL_LAYERS, MIB, Request
from labctl.estimate.llama_cpp.kv_cache import DEFAULT_BATCH, DEFAULT_UBATCH
from labctl.estimate.vllm import Settings, batched_tokens
from labctl.place.rules import STORED_AS
from labctl.plan.plan import PlannedWorkload
from labctl.rig.dtypes import Dtype
from labctl.workloads.service import Service

_MIB_PER_GIB = 1024
# A plan's name of an optimizer that transformers calls otherwise.
_OPTIMIZERS = {"adamw": "adamw_torch"}
_DTYPES: dict[Dtype | None, str] = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
TOLD_OF_ITS_MODEL = ("llama.cpp", "vllm", "training")
"""Engines that are given the path of their model, and do not start without it. ComfyUI is asked for one on its page."""
# The volume that keeps a training's results. A person puts the rest of its configuration there; where results go is not
# theirs to say, for elsewhere they would be gone with the container. axolotl/cli/main.py, utils/schemas/model.py.
_TRAINING_RESULTS = "/workspace/data/axolotl-artifacts"


@dataclass(frozen=True)
class Told:
    """args: words of the command line. first: those before the service's own.

    environment: variables that hold the claim.
    """

    args: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loaded:
    """What is loaded, as the container sees it. model, projector: paths in it; None without one.

    memory_mib: of the whole card, by card; None where nobody knows. claimed_mib: by this workload and all others that
    stay beside it, by card.
    """

    model: str | None
    projector: str | None
    memory_mib: Mapping[str, int | None]
    claimed_mib: Mapping[str, int]


def told(planned: PlannedWorkload, service: Service, loaded: Loaded) -> Told:
    """What this workload's engine is started with. Nothing for a service without one, or a model that is declared."""
    match service.engine:
        case "llama.cpp" if planned.variant.get("engine") == "llama.cpp":
            return Told(_llama_cpp(planned, loaded))
        case "llama.cpp" if loaded.model:
            return Told(("-m", loaded.model))
        case "vllm" if planned.variant.get("engine") == "vllm":
            return Told(_vllm(planned, loaded), first=_vllm_model(loaded))
        case "vllm" if loaded.model:
            return Told(_vllm_declared(planned, loaded), first=_vllm_model(loaded))
        case "ollama":
            return Told(environment=_ollama(planned, loaded))
        case "comfyui":
            return Told(_comfyui(planned, loaded))
        case "training":
            return Told(_training(planned, loaded))
    return Told()


def _llama_cpp(planned: PlannedWorkload, loaded: Loaded) -> tuple[str, ...]:
    variant = planned.variant
    parallel, kv_type = int(variant["parallel"]), str(variant.get("kv_type", "f16"))
    words = ["-m", loaded.model or ""]
    if loaded.projector:
        words += ["--mmproj", loaded.projector]
    words += ["-ngl", str(variant.get("n_gpu_layers", ALL_LAYERS))]
    if len(planned.cards) > 1:
        words += ["-sm", "layer"]
        if split := variant.get("tensor_split"):
            words += ["-ts", ",".join(_number(each) for each in split)]
    elif planned.cards:
        words += ["-sm", "none", "-mg", "0"]
    if moved := variant.get("n_cpu_moe"):
        words += ["-ncmoe", str(moved)]
    if "context" in variant:
        # One stream of the cache per slot: each request may reach its whole context whatever the others do.
        words += ["-c", str(int(variant["context"]) * parallel)]
    words += ["-np", str(parallel), "-no-kvu", "-ctk", kv_type, "-ctv", kv_type, "-fa", "on"]
    words += ["-b", str(DEFAULT_BATCH), "-ub", str(DEFAULT_UBATCH)]
    return (*words, "--fit", "off", "-cram", str(variant.get("prompt_cache_mib", 0)))


def _vllm(planned: PlannedWorkload, loaded: Loaded) -> tuple[str, ...]:
    variant = planned.variant
    memory = tuple((loaded.memory_mib.get(each.card) or 0) * MIB for each in planned.cards)
    request = Request(
        "vllm", int(variant.get("context", 0)), int(variant["parallel"]), card_memory_bytes=memory
    )
    settings = Settings(
        max_model_len=request.context,
        max_num_seqs=request.parallel,
        max_num_batched_tokens=batched_tokens(request),
        tensor_parallel_size=int(variant.get("tensor_parallel", 1)),
        kv_cache_memory_bytes=max(each.kv_cache_bytes or 0 for each in planned.cards),
        gpu_memory_utilization=_fraction(planned, loaded),
    )
    kv_type = str(variant.get("kv_type", "f16"))
    dtype = _DTYPES.get(STORED_AS.get(str(variant.get("quant")).lower()))
    return (
        *(f"--dtype={dtype}" for _ in range(1) if dtype),
        f"--kv-cache-dtype={'auto' if kv_type in ('f16', 'bf16') else kv_type}",
        *settings.arguments(),
    )


def _vllm_model(loaded: Loaded) -> tuple[str, ...]:
    """Before all flags: vLLM ends at --served-model-name without one, vllm/utils/argparse_utils.py of 0.30.0."""
    return (loaded.model,) if loaded.model else ()


def _vllm_declared(planned: PlannedWorkload, loaded: Loaded) -> tuple[str, ...]:
    """A claim that the person declared is a share of the card; vLLM divides it up."""
    fraction = _fraction(planned, loaded)
    share = () if fraction is None else (f"--gpu-memory-utilization={fraction:.3f}",)
    return (f"--tensor-parallel-size={max(1, len(planned.cards))}", *share)


def _fraction(planned: PlannedWorkload, loaded: Loaded) -> float | None:
    """Claim of the whole card, rounded up to a thousandth; of the card where that is most."""
    shares = [
        -(-each.high_mib * 1000 // memory)
        for each in planned.cards
        if (memory := loaded.memory_mib.get(each.card))
    ]
    return min(0.99, max(shares) / 1000) if shares else None


def _ollama(planned: PlannedWorkload, loaded: Loaded) -> dict[str, str]:
    """What it has to leave free of each card, in bytes. With a claim of its own, one model at a time, which stays."""
    found = {}
    if left := _left_mib(planned, loaded):
        found["OLLAMA_GPU_OVERHEAD"] = str(left * MIB)
    if planned.cards and not planned.elastic:
        found |= {"OLLAMA_MAX_LOADED_MODELS": "1", "OLLAMA_KEEP_ALIVE": "-1"}
    return found


def _comfyui(planned: PlannedWorkload, loaded: Loaded) -> tuple[str, ...]:
    """In GiB; without a card, or with nothing left of it, its own default."""
    left = _left_mib(planned, loaded)
    return ("--reserve-vram", f"{left / _MIB_PER_GIB:.2f}") if left else ()


def _left_mib(planned: PlannedWorkload, loaded: Loaded) -> int:
    """What nobody claims of a card; of several cards the most, for there is one setting for all.

    Both engines count from what is free at the moment, which is without what others hold there already.
    """
    left = [
        memory - loaded.claimed_mib.get(each.card, each.high_mib)
        for each in planned.cards
        if (memory := loaded.memory_mib.get(each.card))
    ]
    return max(0, *left) if left else 0


def _training(planned: PlannedWorkload, loaded: Loaded) -> tuple[str, ...]:
    training: Mapping[str, Any] = planned.training or {}
    words = ["axolotl", "train", f"{_TRAINING_RESULTS}/config.yaml", f"--output-dir={_TRAINING_RESULTS}/out"]
    if loaded.model:
        words.append(f"--base-model={loaded.model}")
    if training:
        method, optimizer = str(training["method"]), str(training["optimizer"])
        words += [
            f"--sequence-len={training['sequence']}",
            f"--micro-batch-size={training['batch']}",
            f"--optimizer={_OPTIMIZERS.get(optimizer, optimizer)}",
        ]
        if method != "full":
            words += [f"--adapter={method}", f"--lora-r={training['rank']}"]
        if method == "qlora":
            words.append("--load-in-4bit")
    return tuple(words)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
