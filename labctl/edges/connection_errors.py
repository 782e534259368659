"""What to do about a connection that cannot be made or does not last."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from labctl.errors import Failed

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


def explain(host: Host, error: Exception) -> Failed:
    """pyinfra's connection error with what to do about it."""
    text = " ".join(str(part) for part in error.args) or type(error).__name__
    lower = text.lower()
    data = host.data
    target = f"{data.get('ssh_user') or 'you'}@{data.get('ssh_hostname') or host.name}"
    if data.get("ssh_port"):
        target += f" (port {data.get('ssh_port')})"
    if "could not resolve" in lower or "name or service not known" in lower:
        hint = "is the name spelled right? else set ssh_hostname to the address"
        return Failed("no host has this name", where=host.name, found=target, hint=hint)
    if "authentication" in lower or "no authentication methods" in lower:
        hint = f"try `ssh {target.split(' ')[0]}` by hand; set ssh_user and ssh_key for this host in the inventory"
        return Failed("the host refuses this login", where=host.name, found=target, hint=hint)
    if "host key" in lower:
        hint = f"if the machine was reinstalled: ssh-keygen -R {data.get('ssh_hostname') or host.name} — if not, stop"
        return Failed("the host shows another key than before", where=host.name, found=target, hint=hint)
    if "private key" in lower or "no such file" in lower:
        hint = "set ssh_key to a private key file that exists"
        return Failed("the SSH key cannot be used", where=host.name, found=text, hint=hint)
    if "refused" in lower:
        hint = "is sshd running, and is the port right (ssh_port)?"
        return Failed("nothing answers on the SSH port", where=host.name, found=target, hint=hint)
    if "timed out" in lower or "unreachable" in lower or "no route" in lower or "unable to connect" in lower:
        hint = "is it switched on, is the address right, is a firewall between?"
        return Failed("the host does not answer", where=host.name, found=target, hint=hint)
    return Failed(
        "no SSH connection", where=host.name, found=text, hint=f"try `ssh {target.split(' ')[0]}` by hand"
    )


def broken(host: str, error: Exception | None = None) -> Failed:
    """A connection that was there and is not any more."""
    return Failed(
        "the connection broke",
        where=host,
        found=(str(error) or type(error).__name__) if error else None,
        hint="when the host answers again, run the same command: it goes on where this one stopped",
    )
