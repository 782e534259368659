"""SSH into a throwaway host: fresh keys, known host keys, one command per connection."""

import shlex
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.commands import run

PORT = 22
_CONNECT_TIMEOUT_S = 5
_KNOCK_TIMEOUT_S = 0.05
_PAUSE_S = 0.02
_SSH_FAILED = 255  # ssh's own exit code, for everything that is not the remote command's


@dataclass(frozen=True)
class SshAccess:
    """All it takes to log in to one host."""

    user: str
    address: str
    key_path: Path
    known_hosts_path: Path

    @property
    def options(self) -> dict[str, str]:
        """As in ssh_config(5): the host key must be the one the harness made, and no password is ever asked."""
        return {
            "User": self.user,
            "IdentityFile": str(self.key_path),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.known_hosts_path),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "BatchMode": "yes",
            "ConnectTimeout": str(_CONNECT_TIMEOUT_S),
            "ServerAliveInterval": str(_CONNECT_TIMEOUT_S),
            # The post-quantum default costs a tenth of a second per connection.
            "KexAlgorithms": "curve25519-sha256",
            "LogLevel": "ERROR",
        }

    def argv(self, *command: str, port: int = PORT, address: str | None = None) -> list[str]:
        """The ssh command line."""
        flags = [flag for key, value in self.options.items() for flag in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "/dev/null", *flags, "-p", str(port), address or self.address, *command]

    def config(self, name: str) -> str:
        """The same for `ssh -F FILE name`."""
        lines = [f"    {key} {value}" for key, value in {"HostName": self.address, **self.options}.items()]
        return "\n".join([f"Host {name}", *lines, ""])

    def run(self, command: str, *, sudo: bool, timeout_s: float | None) -> subprocess.CompletedProcess[str]:
        """Run a shell command over a new connection; exit code 255 means that ssh itself failed."""
        remote = f"sudo -n -- sh -c {shlex.quote(command)}" if sudo else command
        return run(self.argv(remote), check=False, timeout_s=timeout_s)

    def wait_until_up(self, timeout_s: float) -> None:
        """Return once a login works. Raises `Failed` with ssh's last words after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while True:
            # A connection tried before the guest has an address is repeated by TCP after a second; ours is sooner.
            last_words = _knock(self.address)
            if not last_words:
                attempt = self.run("true", sudo=False, timeout_s=timeout_s)
                if attempt.returncode != _SSH_FAILED:
                    return
                last_words = attempt.stderr.strip()
            if time.monotonic() > deadline:
                raise Failed(
                    f"no SSH within {timeout_s} s: {last_words}", where=f"{self.user}@{self.address}"
                )
            time.sleep(_PAUSE_S)


def _knock(address: str) -> str:
    """Why nobody listens on the SSH port of `address`; empty when somebody does."""
    try:
        with socket.create_connection((address, PORT), timeout=_KNOCK_TIMEOUT_S):
            return ""
    except OSError as error:
        return str(error)


def make_key(path: Path, comment: str) -> str:
    """Make an ed25519 key pair at `path` and `path`.pub; returns the public half, one line."""
    path.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path.with_name(f"{path.name}.pub").read_text()


def known_host(name: str, public_key: str, port: int = PORT) -> str:
    """A line for a known_hosts file."""
    key_type, key, *_ = public_key.split()
    return f"{name if port == PORT else f'[{name}]:{port}'} {key_type} {key}\n"
