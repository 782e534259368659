"""`ssh -L`: a port of this machine that is a port on the loopback of a host."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from labctl.errors import Failed
from tests.host.ssh import SshAccess

_UP_WITHIN_S = 10


@contextmanager
def forwarded_port(access: SshAccess, remote_port: int) -> Iterator[int]:
    """A port on 127.0.0.1 that reaches `remote_port` on the host's own 127.0.0.1, while the block lasts.

    Raises `Failed` with what ssh said when there is no such connection.
    """
    local_port = _free_port()
    spec = f"127.0.0.1:{local_port}:127.0.0.1:{remote_port}"
    ssh = subprocess.Popen(
        access.argv("-o", "ExitOnForwardFailure=yes", "-N", "-L", spec),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _wait_until_open(local_port, ssh)
        yield local_port
    finally:
        ssh.terminate()
        ssh.communicate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_open(port: int, ssh: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + _UP_WITHIN_S
    while time.monotonic() < deadline:
        if ssh.poll() is not None:
            raise Failed(f"ssh -L ended: {ssh.communicate()[1].strip()}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise Failed(f"ssh -L opened no port within {_UP_WITHIN_S} s")
