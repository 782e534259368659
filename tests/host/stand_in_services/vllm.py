"""Stands in for `vllm serve`: it wants a model that lies there, and a cache that it can write."""

import json
from pathlib import Path
from typing import Any

from tests.host.stand_in_services.service import refuse, say, serve


def run(about: dict[str, Any], words: list[str]) -> None:
    """Serve the model under the name that it is given."""
    if words[1:2] != ["serve"] or len(words) < 3 or words[2].startswith("-"):
        refuse("no model named before the flags")
    model = words[2]
    if not (Path(model) / "config.json").is_file():
        refuse(f"{model} has no config.json, and the hub is not asked")
    name = words[words.index("--served-model-name") + 1] if "--served-model-name" in words else model
    say(f"would load {model}, serves it as {name}")
    listed = {"object": "list", "data": [{"id": name, "object": "model", "owned_by": "vllm"}]}
    serve(about, {"/v1/models": json.dumps(listed)})
