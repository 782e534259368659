"""The delay proxy delivers everything, in order, and never early."""

import asyncio
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from tests.host.delay_proxy import DelayProxy

_DELAY_S = 0.05
_PATIENCE_S = 20  # a proxy that swallows something fails a test instead of hanging it


@contextmanager
def _server(serve: Callable[[socket.socket], None]) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept_once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(_PATIENCE_S)
                serve(connection)

        thread = threading.Thread(target=accept_once)
        thread.start()
        yield listener.getsockname()
        thread.join()


def _connect(proxy: DelayProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=_PATIENCE_S)


def _echo_until_end(connection: socket.socket) -> None:
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    connection.sendall(received)


def _read_to_end(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    return received


def test_every_byte_and_each_end_arrive() -> None:
    sent = bytes(range(256)) * 20_000
    with (
        _server(_echo_until_end) as target,
        DelayProxy(target, milliseconds=1) as proxy,
        _connect(proxy) as client,
    ):
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert _read_to_end(client) == sent


def test_nothing_is_early() -> None:
    heard_at: list[float] = []

    def greet_then_listen(connection: socket.socket) -> None:
        heard_at.append(time.monotonic())
        connection.sendall(b"banner")
        assert connection.recv(10) == b"question"
        heard_at.append(time.monotonic())

    with _server(greet_then_listen) as target, DelayProxy(target, milliseconds=_DELAY_S * 1000) as proxy:
        begun = time.monotonic()
        with _connect(proxy) as client:
            assert client.recv(10) == b"banner"
            greeted = time.monotonic()
            client.sendall(b"question")
            _read_to_end(client)

    assert heard_at[0] - begun >= 3 * _DELAY_S, "SYN, SYN-ACK and ACK each take their time"
    assert greeted - heard_at[0] >= _DELAY_S
    assert heard_at[1] - greeted >= _DELAY_S


def test_a_target_that_is_not_there_closes_the_connection() -> None:
    with (
        DelayProxy(("127.0.0.1", 9), milliseconds=1) as proxy,
        _connect(proxy) as client,
    ):
        assert _read_to_end(client) == b""


def test_an_end_towards_whom_is_gone_is_nothing_to_complain_of() -> None:
    class Gone:
        """What a connection does that was reset a moment ago, before anybody has noticed."""

        asked = 0

        def write_eof(self) -> None:
            self.asked += 1
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    async def end(proxy: DelayProxy, writer: Gone) -> None:
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        on_the_way.put_nowait((0, b""))
        await proxy._arrive(on_the_way, cast("asyncio.StreamWriter", writer))

    gone = Gone()
    asyncio.run(end(DelayProxy(("127.0.0.1", 9), milliseconds=1), gone))
    assert gone.asked == 1


def test_it_is_gone_after_the_block() -> None:
    with _server(_echo_until_end) as target:
        with DelayProxy(target, milliseconds=1) as proxy:
            client = _connect(proxy)
            client.sendall(b"x")
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
        client.close()
        socket.create_connection(target).close()  # lets the server end where the proxy never reached it
