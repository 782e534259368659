"""What a workload says against what its service can do: told with the line, or taken."""

import pytest

from labctl.errors import BadInput
from tests.labctl.workloads.test_workloads_file import parsed

LLAMA = "service: llama.cpp, model: qwen3-8b"
IMAGE = "service: container, image: docker.io/library/example:1"


@pytest.mark.parametrize(
    ("said", "where", "told"),
    [
        ("service: nextcloud, model: qwen3-8b", "model", "nextcloud loads no model"),
        ("service: nextcloud, context: 4096", "context", "nextcloud loads no model"),
        (f"{IMAGE}, vram_mib: 100, quant: Q4_K_M", "quant", "container loads no model"),
        ("service: container, image: nginx", "image", "found nginx) — write it in full: docker.io/library/nginx"),
        ("service: container, image: nginx:1.27", "image", "in full: docker.io/library/nginx:1.27"),
        ("service: container, image: linuxserver/jellyfin:1", "image", "in full: docker.io/linuxserver/jellyfin:1"),
        (f"{LLAMA}, image: ggml-org/llama.cpp:server", "image", "a short name"),
        (f"{LLAMA}, size: 512x512", "size", "llama.cpp makes no pictures"),
        (f"{LLAMA}, training: {{method: lora}}", "training", "llama.cpp does not train"),
        ("service: open-webui, vram_mib: 100", "vram_mib", "open-webui uses no card"),
        ("service: axolotl, model: qwen3-8b, training: {method: lora}, expose: lan", "expose", "answers at no port"),
        (f"{IMAGE}, expose: lan", "expose", "answers at no port (found lan) — add `ports:`"),
        ("service: ollama, env: {OLLAMA_NUM_PARALLEL: 4}", "env.OLLAMA_NUM_PARALLEL", "say it as `parallel:`"),
        ("service: ollama, env: {CUDA_VISIBLE_DEVICES: 1}", "env.CUDA_VISIBLE_DEVICES", "cards are given by the plan"),
        ("service: open-webui, env: {WEBUI_SECRET_KEY: x}", "env.WEBUI_SECRET_KEY", "has its secret secret-key there"),
        ("service: ollama, env: {a-b: 1}", "env.a-b", "no name of a variable"),
        (f"{LLAMA}, args: [--verbose, -c, '9999']", "args.1", "it follows from the plan (found -c)"),
        (f"{LLAMA}, args: [--ctx-size=9999]", "args.0", "it follows from the plan (found --ctx-size)"),
        ("service: vllm, model: qwen3-8b, args: [--gpu-memory-utilization, '0.5']", "args.0", "from the plan"),
        ("service: vllm, model: qwen3-8b, args: ['--gpu_memory_utilization=0.95']", "args.0", "from the plan"),
        ("service: vllm, model: qwen3-8b, args: ['--gpu-mem=0.95']", "args.0", "from the plan"),
        (f"{LLAMA}, args: [--no_kv_unified]", "args.0", "from the plan"),
        (f"{LLAMA}, args: [--no-flash-attn]", "args.0", "from the plan"),
        (f"{LLAMA}, args: [-nkvo]", "args.0", "from the plan"),
        ("service: comfyui, args: [--lowvram]", "args.0", "it follows from the plan"),
        ("service: ollama, volumes: {models: /x}", "volumes.models", "ollama has a volume of this name"),
        ("service: ollama, volumes: {more: /root/.ollama}", "volumes.more", "ollama has its volume models there"),
        ("service: ollama, volumes: {a: /x, b: /x}", "volumes.b", "ollama has its volume a there"),
        ("service: ollama, volumes: {a: x}", "volumes.a", "not where a container could find it"),
        ("service: ollama, volumes: {A: /x}", "volumes.A", "no name of a volume"),
        ("service: home-assistant, devices: [ttyUSB0]", "devices.0", "not a device of the host"),
        (f"{LLAMA}, devices: [/dev/nvidia0]", "devices.0", "cards are given by the plan"),
        ("service: nextcloud, data: nextcloud", "data", "not a folder of the host"),
        (f"{IMAGE}, data: /srv/x", "data", "it keeps nothing"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_key(said: str, where: str, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(f"workloads:\n  thing: {{{said}}}\n")
    assert (refused.value.where or "").startswith(f"home.yaml:2: thing.{where}")
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "said",
    [
        "service: ollama, env: {OLLAMA_KEEP_ALIVE: 5m}, data: /srv/ollama, gpus: {count: 0}",
        "service: nextcloud, data: /srv/nextcloud, env: {PHP_UPLOAD_LIMIT: 1G}, gpus: {host: aibox}",
        f"{LLAMA}, args: [--verbose, --threads, '8'], volumes: {{more: /more}}, devices: [/dev/ttyUSB0]",
        f"{IMAGE}, volumes: {{data: /data}}, data: /srv/x, ports: [80], expose: lan",
        "service: container, image: localhost/mine",
        "service: container, image: 'box:5000/mine:1'",
    ],
)
def test_what_fits_is_taken(said: str) -> None:
    assert set(parsed(f"workloads:\n  thing: {{{said}}}\n")) == {"thing"}


def test_what_answers_at_no_port_is_of_use_to_nobody() -> None:
    job = "tune: {service: axolotl, model: qwen3-8b, training: {method: lora}}"
    with pytest.raises(BadInput, match=r"ui\.uses\.0: it answers at no port \(found tune\)"):
        parsed(f"workloads:\n  ui: {{service: open-webui, uses: [tune]}}\n  {job}\n")
    with pytest.raises(BadInput, match=r"thing.*give thing `ports:`"):
        parsed(f"workloads:\n  ui: {{service: open-webui, uses: [thing]}}\n  thing: {{{IMAGE}}}\n")
