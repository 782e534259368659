"""What to do about a connection that cannot be made or does not last."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from labctl.errors import BadInput, Failed, LabctlError

if TYPE_CHECKING:
    from pyinfra.api.host import Host

# A cut cable is silent: without this the kernel resends for some fifteen minutes before a read fails.
_SILENCE_SECONDS = 30


def fail_fast(host: Host) -> None:
    """Make a connection whose other end has gone silent fail within about 30 s (TCP_USER_TIMEOUT, tcp(7))."""
    client: Any = getattr(host.connector, "client", None)
    if client is None:
        return
    transport = client.get_transport()
    transport.set_keepalive(_SILENCE_SECONDS // 3)  # unanswered traffic for the time-out to count
    if hasattr(socket, "TCP_USER_TIMEOUT") and isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_SECONDS * 1000)


def is_lost(host: Host) -> bool:
    """Whether the connection to `host` stood once and is gone; never true without SSH."""
    client: Any = getattr(host.connector, "client", None)
    transport = client.get_transport() if client is not None else None
    return transport is not None and not transport.is_active()


def explain(host: Host, error: Exception) -> LabctlError:
    """Why no connection was made, with what to do about it."""
    text = " ".join(str(part) for part in error.args) or type(error).__name__
    words = text.lower()
    data = host.data
    target = f"{data.get('ssh_user') or 'you'}@{data.get('ssh_hostname') or host.name}"
    by_hand = f"ssh {target}"
    if data.get("ssh_port"):
        target += f" (port {data.get('ssh_port')})"
    if "private key" in words or "key file" in words:
        return BadInput(
            "the SSH key cannot be used",
            where=f"inventory: {host.name}.ssh_key",
            found=text,
            expected="a private key file of this machine",
            hint="correct its path; a key with a passphrase wants an agent (ssh-add) or ssh_key_password",
        )
    message, hint = "no SSH connection", f"try `{by_hand}` by hand"
    if "could not resolve" in words or "name or service not known" in words:
        message = "no host has this name"
        hint = "is the name spelled right? else set ssh_hostname to the address"
    elif "authentication" in words:
        message = "the host refuses this login"
        hint = f"try `{by_hand}` by hand; set ssh_user and ssh_key for this host in the inventory"
    elif "no host key for" in words:
        message = "the host's key is not known here"
        hint = f"log in once with `{by_hand}` and compare its fingerprint with the one the host itself shows"
    elif "host key" in words:
        message = "the host shows another key than before"
        hint = f"if the machine was reinstalled: ssh-keygen -R {data.get('ssh_hostname') or host.name} — if not, stop"
    elif _is_refused(error):
        message = "nothing answers on the SSH port"
        hint = "is sshd running, and is the port right (ssh_port)?"
    elif any(word in words for word in ("timed out", "unreachable", "no route", "unable to connect")):
        message = "the host does not answer"
        hint = "is it switched on, is the address right, is a firewall between?"
    else:
        target += f": {text}"
    return Failed(message, where=host.name, found=target, hint=hint)


def _is_refused(error: Exception) -> bool:
    """paramiko tries every address of a name and keeps what each of them said."""
    causes = getattr(error.__context__, "errors", {})
    return any(isinstance(cause, ConnectionRefusedError) for cause in causes.values())


def broken(host: str, error: Exception | None = None) -> Failed:
    """A connection that was there and is not any more."""
    return Failed(
        "the connection broke",
        where=host,
        found=(str(error) or type(error).__name__) if error else None,
        hint="when the host answers again, run the same command: it goes on where this one stopped",
    )
