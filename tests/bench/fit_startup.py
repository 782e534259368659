"""`make bench`: what it costs to ask `labctl fit` about a local file.

The whole process, against an interpreter that only imports typer, taking turns. Nothing about a time is asserted.
"""

import io
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.bench.measurement import Ratio, take_turns
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import write

ROUNDS = 15
AIM = 3.0
MODELS = ("llama-3.1-8b", "qwen3-30b-a3b")


def main() -> int:
    """Run the benchmark; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    print(
        f"labctl fit FILE.gguf, whole processes, medians of {ROUNDS} (fastest to slowest), taking turns.\n"
        f"{os.cpu_count()} cores; their load before: {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as folder:
        for model in MODELS:
            _measure(model, Path(folder))
    return 0


def _measure(model: str, folder: Path) -> None:
    file = folder / f"{model}.gguf"
    write(file, SHAPES[model]())
    environment = {**os.environ, "XDG_DATA_HOME": str(folder)}
    # As an installed program has it: byte code is kept, from the round that is not counted on.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, env=environment)
    taken = take_turns(
        {
            "fit": partial(run, [sys.executable, "-m", "labctl", "fit", str(file)]),
            "typer": partial(run, [sys.executable, "-c", "import typer"]),
        },
        rounds=ROUNDS,
    )
    print(f"\n  {model}")
    print(f"    labctl fit FILE            {taken['fit']}")
    print(f"    python -c 'import typer'   {taken['typer']}")
    print(f"    {f'ratio, aim {AIM:g} or less':<25}  {Ratio(taken['fit'], taken['typer'])}")


if __name__ == "__main__":
    sys.exit(main())
