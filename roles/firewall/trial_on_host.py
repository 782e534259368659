"""Tries a ruleset with real packets. Runs on the host as root, with nothing but Python's standard library.

The rules are loaded into a network namespace made for this, with a second one as the machine outside and, when ports
are published, a third one as the container. The host's own network is not touched, and everything ends with this
process. Reads one JSON argument, prints the tries that got through as a JSON list of lists.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

# Of the networks for documentation (RFC 5737, RFC 3849); the container has what Podman's first network has.
HOST = ("192.0.2.1", "2001:db8::1")
CONTAINER = ("10.88.0.2", "fd88::2")
CONTAINER_GATEWAY = ("10.88.0.1", "fd88::1")
QUIET_SECONDS = 1.3  # longer than TCP waits before it knocks again
MOST_SECONDS = 6.0
# Of every namespace, before it has a cable. UDP is answered by ICMP errors, of which the kernel sends a few per second
# only; and nothing is forwarded over IPv6 as long as an address is still looked for on the wire (1 s).
SYSCTLS = (("ipv4/icmp_ratelimit", "0"), ("ipv6/icmp/ratelimit", "0"), ("ipv6/conf/default/accept_dad", "0"))
PUBLISH = """
table inet trial {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    iifname "uplink" meta l4proto { tcp, udp } dnat ip to 10.88.0.2
    iifname "uplink" meta l4proto { tcp, udp } dnat ip6 to fd88::2
  }
}
"""


def main(rules: str, tries: list[tuple[str, str, int]], published: bool) -> None:
    """Set the namespaces up around this one, which was made for it, then knock from outside."""
    _run("ip link set lo up")
    for name, value in SYSCTLS:
        Path("/proc/sys/net", name).write_text(value)
    _run(f"nft -f {rules}")
    outside = Neighbour("uplink", HOST)
    for source in sorted({source for source, _, _ in tries}):
        outside.run(f"ip addr add {source}{'/128' if ':' in source else '/32'} dev eth0")
    for address in HOST:
        outside.run(f"ip route add {address} dev eth0")
        _run(f"ip {'-6' if ':' in address else '-4'} route add default dev uplink")
    if published:
        container = Neighbour("podman0", CONTAINER_GATEWAY)
        for address, gateway in zip(CONTAINER, CONTAINER_GATEWAY, strict=True):
            container.run(f"ip addr add {address}/24 dev eth0")
            container.run(f"ip {'-6' if ':' in address else '-4'} route add default via {gateway} dev eth0")
        for forwarding in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            Path("/proc/sys/net", forwarding).write_text("1")
        _run("nft -f -", PUBLISH)
    knock = [sys.executable, "-c", os.environ["TRIAL"], "knock", json.dumps(tries)]
    subprocess.run(outside.enter + knock, check=True)


class Neighbour:
    """A namespace at the other end of a cable; this end is called `interface`, the other one eth0."""

    def __init__(self, interface: str, addresses: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        pid = self._process.pid
        while Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            time.sleep(0.01)
        self.enter = ["nsenter", "--target", str(pid), "--net"]
        for name, value in SYSCTLS:
            self.run(f"tee /proc/sys/net/{name}", value)
        _run(f"ip link add {interface} type veth peer name eth0 netns {pid}")
        for address in addresses:
            _run(f"ip addr add {address}{'/64' if ':' in address else '/24'} dev {interface}")
        _run(f"ip link set {interface} up")
        self.run("ip link set lo up")
        self.run("ip link set eth0 up")

    def run(self, command: str, text: str = "") -> None:
        """Run a command in the namespace."""
        _run(" ".join([*self.enter, command]), text)


def knock(tries: list[tuple[str, str, int]]) -> None:
    """Knock at every port. Nothing listens there: what gets through is refused, what does not stays unanswered."""
    waiting = {_open(*each): each for each in tries}
    answered = []
    until = time.monotonic() + MOST_SECONDS
    poll = select.poll()  # select() itself ends at 1024 sockets
    by_number = {one.fileno(): one for one in waiting}
    for number, one in by_number.items():
        poll.register(number, select.POLLIN | (select.POLLOUT if one.type == socket.SOCK_STREAM else 0))
    while waiting and time.monotonic() < until:
        ready = poll.poll(QUIET_SECONDS * 1000)
        if not ready:
            break
        for number, _ in ready:
            poll.unregister(number)
            each = by_number[number]
            answered.append(waiting.pop(each))
            each.close()
    sys.stdout.write(json.dumps(answered))


def _open(source: str, protocol: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    one.setblocking(False)
    one.bind((source, 0))
    one.connect_ex((HOST[family == socket.AF_INET6], port))
    if protocol == "udp":
        one.send(b"knock")
    return one


def _run(command: str, text: str = "") -> None:
    subprocess.run(command.split(), check=True, input=text, text=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    arguments = json.loads(sys.argv[2])
    if sys.argv[1] == "knock":
        knock(arguments)
    else:
        main(**arguments)
