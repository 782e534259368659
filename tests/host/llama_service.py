"""The demo's service on a host: image, model and Quadlet unit, and what its API answers."""

import json
import shlex
import subprocess
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.edges.templates import render
from labctl.errors import Failed
from tests.host import tiny_gguf
from tests.host.llama_image import SERVER, LlamaImage
from tests.host.throwaway_host import ThrowawayHost

UNIT = "llama-server"
PORT = 8080
_MODEL_FOLDER = "/srv/models"
_UNIT_FILE = f"/etc/containers/systemd/{UNIT}.container"
_STAGE = "/run/labctl-demo"
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Answer:
    """What the model said. tokens: how many it made. model, parameters: its name and size, as the server has it."""

    text: str
    tokens: int
    model: str
    parameters: int


def load_image(host: ThrowawayHost, image: LlamaImage) -> None:
    """Make the host's Podman know the image under its name."""
    change = f'ENTRYPOINT ["{SERVER}"]'
    _send(host, image.tarball, f"podman import --quiet --change {shlex.quote(change)} - {image.name}")


def install_model(host: ThrowawayHost, model: Path) -> None:
    """Put the model file where the unit's volume is, readable for everybody."""
    target = f"{_MODEL_FOLDER}/{tiny_gguf.NAME}.gguf"
    _send(host, model, f"install -d -m 755 {_MODEL_FOLDER} && install -m 644 /dev/stdin {target}")


def install_unit(host: ThrowawayHost, image: LlamaImage, folder: Path) -> None:
    """Put the unit in its place. folder: where it is kept on this machine.

    Quadlet skips a file it does not understand, and then there is no unit at all: so its generator is asked first,
    on the host, about a copy that is not in place. Raises `Failed` with what it says.
    """
    unit = folder / f"{UNIT}.container"
    unit.write_text(
        render(
            __file__,
            unit.name,
            image=image.name,
            model=tiny_gguf.NAME,
            context_tokens=tiny_gguf.CONTEXT_TOKENS,
            model_folder=_MODEL_FOLDER,
            port=PORT,
        )
    )
    _send(host, unit, f"install -D -m 644 /dev/stdin {_STAGE}/{unit.name}")
    host.run(
        f"QUADLET_UNIT_DIRS={_STAGE} /usr/lib/systemd/system-generators/podman-system-generator --dryrun",
        sudo=True,
    )
    host.run(f"install -D -m 644 {_STAGE}/{unit.name} {_UNIT_FILE} && rm -r {_STAGE}", sudo=True)


def start(host: ThrowawayHost) -> None:
    """Start the unit; returns when it is healthy. Raises `Failed` with the end of its log."""
    command = f"systemctl daemon-reload && systemctl start {UNIT}.service"
    try:
        host.run(command, sudo=True, timeout_s=_TIMEOUT_S)
    except Failed as error:
        log = host.run(f"journalctl --no-pager --lines 10 -o cat -u {UNIT}", sudo=True, check=False).stdout
        raise Failed(f"{UNIT}.service does not start: {log.strip()}", where=host.name) from error


def ask(base_url: str, question: str, *, most_tokens: int) -> Answer:
    """One chat request as any OpenAI client makes it. Raises `Failed` when there is no answer in that form."""
    request = {
        "messages": [{"role": "user", "content": question}],
        "max_tokens": most_tokens,
        "temperature": 1,
        "seed": 2,
    }
    reply = _json(f"{base_url}/v1/chat/completions", json.dumps(request).encode())
    models = _json(f"{base_url}/v1/models")
    try:
        return Answer(
            text=reply["choices"][0]["message"]["content"],
            tokens=int(reply["usage"]["completion_tokens"]),
            model=models["data"][0]["id"],
            parameters=int(models["data"][0]["meta"]["n_params"]),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise Failed(
            "not a chat completion", where=base_url, found=json.dumps([reply, models])[:500]
        ) from error


def _json(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        # Straight there, whatever proxy the environment names: the port is this machine's own.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
            return json.load(reply)
    except (OSError, ValueError) as error:
        raise Failed(f"no answer: {error}", where=url) from error


def _send(host: ThrowawayHost, file: Path, command: str) -> None:
    """Run `command` as root on the host with `file` as its standard input."""
    with file.open("rb") as content:
        completed = subprocess.run(
            host.ssh.argv(f"sudo -n -- sh -c {shlex.quote(command)}"),
            stdin=content,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
        )
    if completed.returncode != 0:
        raise Failed(
            f"exit code {completed.returncode}: {completed.stderr.strip()}", where=f"{host.name}: {command}"
        )
