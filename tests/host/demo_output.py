"""What `make demo` prints: what is real, a line for each step, and what it came to. 80 columns at most."""

from __future__ import annotations

import io
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass

from tests.host.llama_service import Answer

QUESTION = "Hello, who are you?"
_WIDTH = 80
INTRODUCTION = """\
labctl demo: a bare Debian and a workloads file become services that answer
  Real: Debian 13, systemd, SSH, apt, dkms, Podman; llama.cpp and its tokens,
    Miniflux and PostgreSQL, of Debian's packages.
  Simulated: two RTX 3090. llama.cpp computes on the processor.
  Stand-ins: the machine is a systemd-nspawn container on this kernel; NVIDIA's
    driver and CUDA are there in name; the model's weights are random, half a
    megabyte in the place of Qwen2.5 14B; the registry of images is a local one.
"""


@dataclass(frozen=True)
class Told:
    """What the demo came to. picture: what `labctl place` said. answer: of the model, after the reboot."""

    picture: str
    answer: Answer


class Step(io.TextIOBase):
    """A line of the demo's output; `result` is what it says at its end.

    As a stream it takes what is complained of meanwhile, and gives that a line of its own.
    """

    def __init__(self, title: str) -> None:
        self.result = "done"
        self._title = f"  {title:<16} "
        self._is_open = True
        print(self._title, end="", flush=True)

    def write(self, text: str) -> int:
        """Print an aside, each line of it as one or more of our width; what ends a line comes by itself."""
        for line in text.splitlines():
            if line.strip():
                print(("\n" if self._is_open else "") + _aside(line), flush=True)
                self._is_open = False
        return len(text)

    def finish(self, seconds: float) -> None:
        """Complete the line, after asides anew."""
        print(f"{'' if self._is_open else self._title}{self.result:<50} {seconds:6.1f} s", flush=True)


def _aside(line: str) -> str:
    """Indented, in as many lines as it takes."""
    return textwrap.fill(line, _WIDTH, initial_indent="    ", subsequent_indent="      ")


@contextmanager
def step(title: str) -> Iterator[Step]:
    """One line: title, result, seconds. The title stands there while the work goes on."""
    made, began = Step(title), time.monotonic()
    try:
        with redirect_stderr(made):
            yield made
    except BaseException as error:
        made.result = "interrupted" if isinstance(error, KeyboardInterrupt) else "FAILED"
        raise
    finally:
        made.finish(time.monotonic() - began)


def summary(told: Told, seconds: float) -> str:
    """The cards, the talk, and what comes next."""
    answer = told.answer
    said = textwrap.wrap(answer.text, _WIDTH - 13) or [""]
    return "\n".join([
        "",
        told.picture.strip(),
        "",
        f"  you        {QUESTION}",
        f"  chat       {said[0]}",
        *(f"             {line}" for line in said[1:]),
        f"             {answer.tokens} real tokens of llama.cpp {answer.server}; the weights are random",
        "",
        f"All of it took {seconds:.0f} s. Next: your own machine in inventory/home.py",
    ])  # fmt: skip
