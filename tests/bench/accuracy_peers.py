"""llmfit, hf-mem and accelerate's estimator, installed as pinned and run for real on the same models."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.estimate.claim import MIB
from tests.bench.accuracy_files import config_json, write_gguf, write_repository
from tests.bench.accuracy_points import Point, Subject
from tests.bench.pinned_environment import pinned_environment
from tests.host.commands import run

TOOLS = Path(__file__).with_name("accuracy_tools")
REQUIREMENTS = TOOLS / "requirements.txt"
CACHE_VARIABLE = "LABCTL_BENCH_CACHE"
# llmfit's catalogue goes by the hub's names.
HUB_NAMES = {
    "codellama-34b": "codellama/CodeLlama-34b-hf", "command-a-111b": "CohereLabs/c4ai-command-a-03-2025",
    "command-r-35b": "CohereLabs/c4ai-command-r-v01", "deepseek-v3-671b": "deepseek-ai/DeepSeek-V3",
    "gemma-2-27b": "google/gemma-2-27b-it", "gemma-3-27b": "google/gemma-3-27b-it",
    "glm-4.5-air": "zai-org/GLM-4.5-Air", "glm-z1-32b": "zai-org/GLM-Z1-32B-0414",
    "gpt-oss-20b": "openai/gpt-oss-20b", "gpt-oss-120b": "openai/gpt-oss-120b",
    "llama-2-7b": "meta-llama/Llama-2-7b-hf", "llama-3-8b": "meta-llama/Meta-Llama-3-8B",
    "llama-3.1-8b": "meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-70b": "meta-llama/Llama-3.1-70B-Instruct",
    "llama-3.2-3b": "meta-llama/Llama-3.2-3B", "llama-4-scout-17b-16e": "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    "mistral-7b-v0.1": "mistralai/Mistral-7B-v0.1", "mixtral-8x7b": "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "phi-3-mini": "microsoft/phi-3-mini-4k-instruct",
}  # fmt: skip
_ACCELERATE_DTYPES = {
    "bfloat16": "float16", "float16": "float16", "fp8": "int8", "int8": "int8", "gptq-int8": "int8",
    "awq": "int4", "gptq-int4": "int4", "nf4": "int4", "nf4-single": "int4",
}  # fmt: skip
_LLMFIT_QUANTS = {
    "bfloat16": "BF16",
    "float16": "F16",
    "awq": "AWQ-4bit",
    "gptq-int4": "GPTQ-Int4",
    "gptq-int8": "GPTQ-Int8",
}


@dataclass(frozen=True)
class Peers:
    """What each peer said. answers: peer → key of the subject → component → MiB; errors: peer → reason → how often."""

    answers: Mapping[str, Mapping[tuple[str, str], Mapping[str, float]]]
    errors: Mapping[str, Mapping[str, int]]

    def say(self, peer: str, point: Point) -> float | None:
        """Its figure for a point, MiB; None where it has none."""
        return self.answers[peer].get((point.case, _asked(point)), {}).get(point.component)


def _asked(point: Point) -> str:
    return "training" if point.component == "training" else "inference"


def environment() -> Path:
    """The peers' own environment. Raises `Failed` when packages cannot be had."""
    base = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "labctl-bench")
    return pinned_environment(REQUIREMENTS, base, "llmfit, hf-mem and accelerate, 3 GB")


def ask(points: Iterable[Point], folder: Path) -> Peers:
    """Put every point to every peer; files they read are written below `folder`."""
    binaries, listed = environment() / "bin", tuple(points)
    asked = {
        "llmfit 1.1.17": _llmfit(binaries, listed),
        "hf-mem 0.5.6": _hf_mem(binaries, listed, folder / "hub"),
        "accelerate 1.15.0": _accelerate(binaries, listed, folder / "configs"),
    }
    errors: dict[str, dict[str, int]] = {peer: {} for peer in asked}
    answers: dict[str, dict[tuple[str, str], Mapping[str, float]]] = {peer: {} for peer in asked}
    for peer, found in asked.items():
        for key, answer in found.items():
            if isinstance(answer, str):
                errors[peer][answer] = errors[peer].get(answer, 0) + 1
            else:
                answers[peer][key] = answer
    return Peers(answers, errors)


def _llmfit(binaries: Path, points: tuple[Point, ...]) -> dict[tuple[str, str], Mapping[str, float] | str]:
    """`llmfit plan` by the hub's name. It speaks of totals, and of GGUF files' size."""
    known: dict[tuple[str, str, int, str], Mapping[str, float] | str] = {}
    found: dict[tuple[str, str], Mapping[str, float] | str] = {}
    for point in points:
        subject = point.subject
        if _asked(point) == "training" or point.engine == "vLLM":
            continue
        name = _hub_name(subject)
        quant = subject.model.quant if subject.gguf else _LLMFIT_QUANTS.get(subject.model.quant, "")
        if not name or not quant or subject.parallel > 1:
            found[(point.case, "inference")] = "no model or format of that name"
            continue
        kv_type = "fp16" if subject.kv_type == "f16" else subject.kv_type
        key = (name, quant, subject.context, kv_type)
        if key not in known:
            command = [
                str(binaries / "llmfit"),
                "plan",
                name,
                "--context",
                str(subject.context),
                "--quant",
                quant,
            ]
            ended = subprocess.run(
                [*command, "--kv-quant", kv_type, "--json"], capture_output=True, text=True, check=False
            )
            known[key] = _planned(ended.stdout, subject) if ended.returncode == 0 else "not planned: " + quant
        found[(point.case, "inference")] = known[key]
    return found


def _planned(output: str, subject: Subject) -> Mapping[str, float]:
    plan = json.loads(output)
    total = {"total": plan["minimum"]["vram_gb"] * 1e9 / MIB}
    return total | ({"weights": plan["disk_size_gb"] * 1e9 / MIB} if subject.gguf else {})


def _hub_name(subject: Subject) -> str:
    name = subject.model.name
    if name.startswith(("qwen2.5", "qwen3")):
        parts = name.replace("qwen", "Qwen", 1).split("-")
        return "Qwen/" + "-".join([parts[0], *(each.upper() for each in parts[1:])])
    return HUB_NAMES.get(name, "")


def _hf_mem(
    binaries: Path, points: tuple[Point, ...], folder: Path
) -> dict[tuple[str, str], Mapping[str, float] | str]:
    """Weights, cache and their sum, from headers alone."""
    requests: list[dict[str, Any]] = []
    found: dict[tuple[str, str], Mapping[str, float] | str] = {}
    for point in points:
        subject, key = point.subject, (point.case, "inference")
        if _asked(point) == "training":
            continue
        name, file, kv_type = f"bench/{len(requests)}", "", "auto"
        if subject.gguf:
            file, kv_type = "model.gguf", "auto" if subject.kv_type == "f16" else subject.kv_type.upper()
            write_gguf(folder / name / file, subject.model, subject.context)
        elif not write_repository(folder / name, subject.model):
            found[key] = "its file's layout is not in the cases"
            continue
        requests.append({
            "key": json.dumps(key), "model": name, "file": file, "context": subject.context,
            "parallel": subject.parallel, "kv_type": kv_type,
        })  # fmt: skip
    for asked_key, answer in _driven(binaries, "hf_mem_offline.py", folder, requests).items():
        case, asked = json.loads(asked_key)
        if "error" in answer:
            found[(case, asked)] = answer["error"]
        else:
            found[(case, asked)] = {part: value / MIB for part, value in answer.items() if value is not None}
    return found


def _accelerate(
    binaries: Path, points: tuple[Point, ...], folder: Path
) -> dict[tuple[str, str], Mapping[str, float] | str]:
    """Weights of a model as transformers builds it, and training it whole with Adam."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[tuple[str, str], Subject] = {}
    found: dict[tuple[str, str], Mapping[str, float] | str] = {}
    for point in points:
        config, key = config_json(point.subject.model), (point.case, _asked(point))
        speaks = point.component == "weights" or point.subject.method == "full"
        if point.subject.gguf or not speaks:
            continue
        if config is None or point.subject.model.quant not in _ACCELERATE_DTYPES:
            found[key] = "no such architecture or dtype"
            continue
        wanted[key] = point.subject
        (folder / point.subject.model.name).mkdir(exist_ok=True)
        (folder / point.subject.model.name / "config.json").write_text(json.dumps(config))
    names = sorted({subject.model.name for subject in wanted.values()})
    answers = _driven(binaries, "accelerate_offline.py", folder, names)
    for key, subject in wanted.items():
        answer = answers[subject.model.name]
        if "error" in answer:
            found[key] = answer["error"]
        else:
            dtype = _ACCELERATE_DTYPES[subject.model.quant]
            found[key] = {"weights": answer[dtype] / MIB, "training": answer["training"] / MIB}
    return found


def _driven(binaries: Path, tool: str, folder: Path, asked: object) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder.with_suffix(".json")
    listed.write_text(json.dumps(asked))
    answers: dict[str, Any] = json.loads(
        run([str(binaries / "python"), str(TOOLS / tool), str(folder), str(listed)]).stdout
    )
    return answers
