"""What llama.cpp's server answers at its OpenAI-style API."""

import json
from dataclasses import dataclass

from labctl.errors import Failed
from tests.host.json_request import JSON, answer


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
    reply = answer(f"{base_url}/v1/chat/completions", json.dumps(request).encode(), JSON)
    models = answer(f"{base_url}/v1/models")
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
