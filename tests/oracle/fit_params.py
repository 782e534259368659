"""Asks the real llama-fit-params, with RPC servers in the place of cards. Nothing is loaded and nothing computed."""

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from labctl.errors import Failed
from tests.oracle.loopback import free_port, wait_for_port

_SERVER = "/usr/libexec/x86_64-linux-gnu/llama/bin/ggml-rpc-server"
_PROGRAM = "/usr/bin/llama-fit-params"
_ROW = re.compile(r"^(\S+) (\d+) (\d+) (\d+) *$")
# The chroot has no /proc of its own: the program only needs to find its back ends beside itself.
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True)
class Row:
    """One line of its answer, whole MiB, rounded down."""

    device: str
    weights_mib: int
    context_mib: int
    compute_mib: int


class NoAnswer(Failed):
    """It ran, and printed no row: a failure of the case, never a reason to skip."""


@dataclass(frozen=True)
class Oracle:
    """root: the file system with the program. models: a folder in it. ports: one RPC server each."""

    root: Path
    ports: tuple[int, ...]

    @property
    def models(self) -> Path:
        """Where files go that it should see."""
        return self.root / "tmp"

    def ask(self, file: str, n_cards: int, arguments: Sequence[str]) -> tuple[Row, ...]:
        """Rows for the cards and the host. Raises `NoAnswer` when there are none."""
        servers = ",".join(f"127.0.0.1:{port}" for port in self.ports[:n_cards])
        command = ["chroot", str(self.root), _PROGRAM, "--rpc", servers, "-m", f"/tmp/{file}", *arguments]
        result = subprocess.run(
            [*command, "--fit-print", "on", "--no-repack"],
            env=_ENVIRONMENT,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=120,
        )
        rows = tuple(
            Row(match[1], int(match[2]), int(match[3]), int(match[4]))
            for match in map(_ROW.match, result.stdout.splitlines())
            if match
        )
        if result.returncode or len(rows) != n_cards + 1:
            raise NoAnswer(
                f"{' '.join(arguments)}: {len(rows)} rows, exit {result.returncode}: {result.stderr[-500:]}"
            )
        return rows


@contextmanager
def running(root: Path, n_cards: int) -> Iterator[Oracle]:
    """Starts the servers on loopback, ends them."""
    with ExitStack() as stack:
        ports = tuple(free_port() for _ in range(n_cards))
        for port in ports:
            stack.enter_context(_Server(root, port))
        for port in ports:
            wait_for_port(port)
        yield Oracle(root, ports)


class _Server:
    def __init__(self, root: Path, port: int) -> None:
        self._process = subprocess.Popen(
            ["chroot", str(root), _SERVER, "-H", "127.0.0.1", "-p", str(port)],
            env=_ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)
