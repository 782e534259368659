"""What llama.cpp's server answers at its OpenAI-style API."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from labctl.errors import Failed


@dataclass(frozen=True)
class Answer:
    """What the model said. tokens: how many it made. model, parameters: its name and size, as the server has it.

    server: the build that says so.
    """

    text: str
    tokens: int
    model: str
    parameters: int
    server: str


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
            server=reply["system_fingerprint"],
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
