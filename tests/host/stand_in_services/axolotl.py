"""Stands in for `axolotl train`: it ends when its configuration and its model are there, and leaves a result."""

import json
from pathlib import Path
from typing import Any

from tests.host.stand_in_services.service import cards, refuse, say


def run(about: dict[str, Any], words: list[str]) -> None:
    """Train, in name only."""
    if words[1:2] != ["train"] or len(words) < 3:
        refuse(f"{about['image']} is not told what to train")
    if not Path(words[2]).is_file():
        refuse(f"{words[2]} does not exist")
    options = dict(each.removeprefix("--").split("=", 1) for each in words[3:] if "=" in each)
    model = options.get("base-model", "")
    if not Path(model).is_dir():
        refuse(f"no model at {model or 'any path'}")
    # Upstream's own default, in the folder it starts in.
    results = Path(options.get("output-dir", "model-out")).absolute()
    if not any(each.is_mount() for each in results.parents if each != Path("/")):
        refuse(f"{results} is gone with the container, and what was trained with it")
    results.mkdir(exist_ok=True)
    result = {"stand-in": True, "cards": cards(), **options}
    (results / "stand-in.json").write_text(json.dumps(result))
    say(f"would have trained {model}")
