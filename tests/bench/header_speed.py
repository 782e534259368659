"""`make bench`: what reading a GGUF header costs, beside the gguf package's own reader, and of a 400 GB file.

Nothing about a time is asserted; tests/bench/test_header_speed.py holds memory and the number of bytes read.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from labctl.edges.model_files import FileSource
from labctl.errors import DONE, BadInput
from labctl.models.gguf_header import read_gguf_header
from labctl.models.gguf_model import model_from_gguf
from labctl.models.model import Model
from tests.bench.measurement import take_turns
from tests.oracle.shapes import SHAPES
from tests.oracle.sparse_gguf import Header, Value, header_bytes, write

ROUNDS = 5
VOCABULARY = 150_000
HUGE_BYTES = 400 * 1000**3
AIM_TIMES, AIM_MIB = 15, 60_000_000 / 1024**2
# ru_maxrss of a started program is never below what its parent had: it is carried over exec. VmHWM is not.
_READS = """
import sys
from labctl.edges.model_reader import read_model
model = read_model(sys.argv[1]).model
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0], len(model.layers), model.file_bytes)
"""


def with_vocabulary(model: str) -> Header:
    """A true header with a tokenizer of words as long as a tokenizer's are, and as many merges."""
    chance = random.Random(1)
    header = SHAPES[model]()
    words = ["x" * chance.randint(1, 14) + str(number) for number in range(VOCABULARY)]
    tokenizer: dict[str, Value] = {
        "tokenizer.ggml.tokens": words,
        "tokenizer.ggml.token_type": [1] * VOCABULARY,
        "tokenizer.ggml.merges": [
            f"{first} {second}" for first, second in zip(words, reversed(words), strict=True)
        ],
        "tokenizer.chat_template": "{{ message }}" * 1000,
    }
    return Header(header.architecture, {**header.metadata, **tokenizer}, header.tensors)


def write_huge(path: Path, model: str = "deepseek-v3") -> int:
    """A file of 400 GB on some hundred kB of disk; returns how long its header is."""
    header = with_vocabulary(model)
    write(path, header)
    with path.open("r+b") as file:
        file.truncate(HUGE_BYTES)
    return len(header_bytes(header)[0])


def read(path: Path) -> Model:
    """As labctl does it."""
    with FileSource(path) as source:
        return model_from_gguf([read_gguf_header(source)])


def peak_mib(path: Path) -> float:
    """The most memory that a fresh interpreter held while it read this model. Raises where it did not read it."""
    result = subprocess.run(
        [sys.executable, "-c", _READS, str(path)], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BadInput("the model was not read", where=str(path), found=result.stderr[-300:])
    kib, _, n_bytes = (int(word) for word in result.stdout.split())
    assert n_bytes == path.stat().st_size
    return kib / 1024


def main() -> int:
    """Run the benchmark; returns the exit code."""
    from gguf import GGUFReader

    with tempfile.TemporaryDirectory(prefix="labctl-bench-") as folder:
        path = Path(folder) / "vocabulary.gguf"
        write(path, with_vocabulary("llama-3.2-1b"))
        taken = take_turns({"labctl": lambda: read(path), "gguf": lambda: GGUFReader(path)}, rounds=ROUNDS)
        ours, theirs = taken["labctl"], taken["gguf"]
        print(
            f"\nHeader with {VOCABULARY} tokens and merges, medians of {ROUNDS}, taking turns:\n"
            f"  labctl          {1000 * ours.median:8.1f} ms\n"
            f"  gguf.GGUFReader {1000 * theirs.median:8.1f} ms\n"
            f"  times faster    {theirs.median / ours.median:8.1f}     aim: {AIM_TIMES} at least"
        )
        path = Path(folder) / "huge.gguf"
        write_huge(path)
        print(
            f"A {HUGE_BYTES // 1000**3} GB file, a whole interpreter's peak:\n"
            f"  memory          {peak_mib(path):8.1f} MiB  aim: below {AIM_MIB:.0f}"
        )
    return DONE


if __name__ == "__main__":
    sys.exit(main())
