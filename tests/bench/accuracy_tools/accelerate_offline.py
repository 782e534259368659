"""Runs accelerate's estimator on folders with a config.json. Arguments: FOLDER NAMES.

Prints JSON: name → dtype → bytes. Runs in the interpreter that has accelerate, with nothing of labctl; only the look
at the hub is left out.
"""

import contextlib
import importlib
import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
estimate: Any = importlib.import_module("accelerate.commands.estimate")


def on_the_hub(*_asked: object) -> SimpleNamespace:
    """What the hub would say of any of them."""
    return SimpleNamespace(config={}, library_name="transformers")


def sizes(folder: Path) -> dict[str, object]:
    """Bytes of weights and of training with Adam, per dtype; or why there are none."""
    asked = Namespace(
        model_name=str(folder),
        library_name="transformers",
        trust_remote_code=False,
        dtypes=["float16", "int8", "int4"],
    )
    try:
        with contextlib.redirect_stdout(sys.stderr):
            rows = estimate.gather_data(asked)
    except (RuntimeError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    found: dict[str, object] = {row[0]: row[2] for row in rows}
    found["training"] = max(rows[0][3].values())
    return found


estimate.verify_on_hub = on_the_hub
print(
    json.dumps({name: sizes(Path(sys.argv[1]) / name) for name in json.loads(Path(sys.argv[2]).read_text())})
)
