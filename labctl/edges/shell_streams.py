"""Programs whose streams a held shell uses: over the SSH connection pyinfra made, or on this machine."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labctl.edges.held_shell import Streams
from labctl.errors import BadInput

if TYPE_CHECKING:
    from pyinfra.api import Host

_CHUNK_BYTES = 65536
_END_SECONDS = 2


def starter(host: Host) -> Callable[[str], Streams]:
    """How to start a program on `host`, which pyinfra has connected to.

    Over SSH the inventory's own address, keys, known hosts and SSH configuration hold, since pyinfra has applied them.
    Raises BadInput for a connector that is neither SSH nor this machine.
    """
    from pyinfra.connectors.local import LocalConnector
    from pyinfra.connectors.ssh import SSHConnector

    connector = host.connector
    if isinstance(connector, SSHConnector):
        client = connector.client
        assert client is not None
        return lambda program: ChannelStreams(client.get_transport(), program)
    if isinstance(connector, LocalConnector):
        return ProcessStreams
    raise BadInput(
        "checks run over SSH or on this machine",
        where=host.name,
        found=f"pyinfra's {type(connector).__name__}",
        expected="a host reached over SSH, or @local",
        hint="give the host an address of its own, or leave it out with --limit",
    )


class ChannelStreams:
    """A program on the other side of a paramiko transport."""

    def __init__(self, transport: Any, program: str) -> None:
        from paramiko import SSHException

        try:
            self._channel = transport.open_session()
            self._channel.exec_command(program)
        except SSHException as problem:
            raise EOFError(str(problem)) from problem

    def send(self, data: bytes) -> None:
        """Write all of it."""
        self._channel.sendall(data)

    def receive(self, timeout_s: float) -> tuple[bytes, bytes]:
        """Whatever has arrived."""
        channel = self._channel
        if not select.select([channel], [], [], timeout_s)[0]:
            raise TimeoutError
        out = channel.recv(_CHUNK_BYTES) if channel.recv_ready() else b""
        err = channel.recv_stderr(_CHUNK_BYTES) if channel.recv_stderr_ready() else b""
        if not (out or err):
            raise EOFError
        return out, err

    def close(self) -> None:
        """Close the channel; sshd ends the program."""
        self._channel.close()


class ProcessStreams:
    """A program on this machine."""

    def __init__(self, program: str) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(["sh", "-c", program], stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._outputs = [self._process.stdout.fileno(), self._process.stderr.fileno()]

    def send(self, data: bytes) -> None:
        """Write all of it: the shell reads each line before it answers, so this cannot wait for a reader of ours."""
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(data)
        stdin.flush()

    def receive(self, timeout_s: float) -> tuple[bytes, bytes]:
        """Whatever has arrived."""
        stdout, stderr = self._outputs
        ready, _, _ = select.select(self._outputs, [], [], timeout_s)
        if not ready:
            raise TimeoutError
        out = os.read(stdout, _CHUNK_BYTES) if stdout in ready else b""
        err = os.read(stderr, _CHUNK_BYTES) if stderr in ready else b""
        if not (out or err):
            raise EOFError
        return out, err

    def close(self) -> None:
        """Close its streams and end it; one run by sudo ends by itself, after the command it runs."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        with contextlib.suppress(PermissionError):
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
