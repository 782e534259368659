"""A word on a port, and who hears it. Runs on throwaway hosts and in their containers too: standard library only.

python3 knocking.py serve 8080 hello         answers every TCP connection and every UDP packet, IPv4 and IPv6
python3 knocking.py knock '[["tcp", "10.0.0.1", 8080]]'      prints what was heard, as JSON
python3 knocking.py resolve NAME …           prints the addresses, as JSON
"""

import json
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

# Protocol (tcp, udp, or icmp for an echo, which takes root), address, port.
Try = tuple[str, str, int]
ECHO = "echo"  # what is heard of the latter

# What is dropped is noticed by waiting. On one switch an answer takes a millisecond; a lost first packet of TCP is
# sent again after a second.
_PATIENCE_S = 2.5
_TRIES = 5


def knock(tries: Sequence[Try], source_port: int = 0) -> list[str | None]:
    """What each answered, its first line; None for one that did not. All at once."""
    with ThreadPoolExecutor(max_workers=max(1, len(tries))) as pool:
        return list(pool.map(lambda each: _knock(each, source_port), tries))


def _knock(each: Try, source_port: int) -> str | None:
    protocol, address, port = each
    try:
        match protocol:
            case "tcp":
                heard = _over_tcp(address, port)
            case "udp":
                heard = _over_udp(address, port, source_port)
            case _:
                heard = _over_icmp(address)
    except OSError:
        return None
    return heard.decode(errors="replace").splitlines()[0] if heard else None


def _over_tcp(address: str, port: int) -> bytes:
    with socket.create_connection((address, port), timeout=_PATIENCE_S) as connection:
        return connection.recv(512)


def _over_udp(address: str, port: int, source_port: int) -> bytes:
    with socket.socket(_family(address), socket.SOCK_DGRAM) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        connection.bind(("", source_port))
        connection.connect(socket.getaddrinfo(address, port)[0][4])  # with the interface of a link-local one
        connection.settimeout(_PATIENCE_S / _TRIES)
        for _ in range(_TRIES):
            connection.send(b"?")
            try:
                return connection.recv(512)
            except TimeoutError:
                continue
    return b""


def _over_icmp(address: str) -> bytes:
    """An echo request and its reply: RFC 792 and RFC 4443."""
    six = _family(address) == socket.AF_INET6
    protocol, request, reply = (socket.IPPROTO_ICMPV6, 128, 129) if six else (socket.IPPROTO_ICMP, 8, 0)
    mark = os.urandom(8)
    packet = struct.pack("!BBHHH", request, 0, 0, 1, 1) + mark
    if not six:  # of ICMPv6, the kernel computes the checksum
        words = sum(struct.unpack("!8H", packet))
        packet = packet[:2] + struct.pack("!H", ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF) + packet[4:]
    with socket.socket(_family(address), socket.SOCK_RAW, protocol) as connection:
        connection.connect((address, 0))
        connection.settimeout(_PATIENCE_S)
        connection.send(packet)
        while True:
            received = connection.recv(512)
            received = received if six else received[20:]  # after the IPv4 header
            if received[0] == reply and received.endswith(mark):
                return ECHO.encode()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def resolve(name: str) -> list[str]:
    """The addresses of a name; none where it has none."""
    try:
        return sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None)})
    except socket.gaierror:
        return []


def serve(port: int, word: str) -> None:
    """Answer until killed."""
    line = word.encode() + b"\n"
    threading.Thread(target=_serve_udp, args=(port, line), daemon=True).start()
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.sendall(line)


def _serve_udp(port: int, line: bytes) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", port))
        while True:
            try:
                _, sender = server.recvfrom(512)
                server.sendto(line, sender)
            except OSError:
                time.sleep(0.1)  # whoever asked has gone


def main(command: str, *arguments: str) -> None:
    """One of the three commands above."""
    if command == "serve":
        serve(int(arguments[0]), arguments[1])
    elif command == "knock":
        tries = [(str(each[0]), str(each[1]), int(each[2])) for each in json.loads(arguments[0])]
        print(json.dumps(knock(tries, *map(int, arguments[1:]))))
    else:
        print(json.dumps({name: resolve(name) for name in arguments}))


if __name__ == "__main__":
    main(*sys.argv[1:])
