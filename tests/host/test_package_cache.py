"""The package cache keeps what cannot change and passes on the rest, unharmed."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.host import package_cache

_PACKAGE = "/debian/pool/main/h/hello/hello_1_amd64.deb"
_BY_HASH = "/debian/dists/trixie/main/binary-amd64/by-hash/SHA256/" + "0" * 64


class _Archive(BaseHTTPRequestHandler):
    """Says what it was asked and how often; breaks off in the middle when told to."""

    asked: list[str]
    truncate: bool
    repeat: int

    def do_GET(self) -> None:
        """Answer with the request's own words."""
        self.asked.append(self.path)
        body = f"{self.path} {self.headers.get('Range', 'whole')}".encode() * self.repeat
        self.send_response(404 if "missing" in self.path else 200)
        if "unsized" not in self.path:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if self.truncate else body)

    def do_POST(self) -> None:
        """Answer with the request's body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class _Guest:
    def __init__(self, cache_port: int, archive_port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", cache_port, timeout=10)
        self.cache_port = cache_port
        self.host = f"127.0.0.1:{archive_port}"

    def ask(
        self, path: str, method: str = "GET", body: str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """One request, as the transparent redirect delivers it: a path, and the archive's name in Host."""
        self._connection.request(method, path, body, {"Host": self.host, **headers})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture
def archive() -> type[_Archive]:
    class Archive(_Archive):
        asked: list[str] = []  # noqa: RUF012 - one per test, and this class is made per test
        truncate = False
        repeat = 1000

    return Archive


@pytest.fixture
def guest(archive: type[_Archive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Guest]:
    monkeypatch.setattr(package_cache._Handler, "cache", tmp_path, raising=False)
    monkeypatch.setattr(package_cache._Handler, "log_message", lambda *_: None)
    with _serving(archive) as archive_port, _serving(package_cache._Handler) as cache_port:
        guest = _Guest(cache_port, archive_port)
        yield guest
        guest._connection.close()


@pytest.mark.parametrize("path", [_PACKAGE, _BY_HASH])
def test_what_cannot_change_crosses_the_wire_once(guest: _Guest, archive: type[_Archive], path: str) -> None:
    answers = [guest.ask(path) for _ in range(3)]

    assert answers == [(200, f"{path} whole".encode() * 1000)] * 3
    assert archive.asked == [path]


@pytest.mark.parametrize(
    "path", ["/debian/dists/trixie/InRelease", "/flat-repository/tool_1_amd64.deb", _PACKAGE + "?token=1"]
)
def test_what_may_change_is_asked_for_every_time(guest: _Guest, archive: type[_Archive], path: str) -> None:
    assert guest.ask(path) == guest.ask(path) == (200, f"{path} whole".encode() * 1000)
    assert archive.asked == [path, path]


def test_a_part_of_a_file_is_not_taken_for_the_whole(guest: _Guest, tmp_path: Path) -> None:
    assert guest.ask(_PACKAGE, Range="bytes=10-")[1].startswith(f"{_PACKAGE} bytes=10-".encode())
    assert guest.ask(_PACKAGE)[1].startswith(f"{_PACKAGE} whole".encode())
    assert len(list(tmp_path.iterdir())) == 1


def test_what_broke_off_is_not_kept_and_not_passed_for_whole(
    guest: _Guest, archive: type[_Archive], tmp_path: Path
) -> None:
    archive.truncate = True
    with pytest.raises(http.client.IncompleteRead):
        guest.ask(_PACKAGE)
    assert list(tmp_path.iterdir()) == []

    archive.truncate = False
    guest._connection.close()
    assert guest.ask(_PACKAGE)[1] == f"{_PACKAGE} whole".encode() * 1000


def test_a_guest_that_goes_away_leaves_the_package_to_the_others(
    guest: _Guest, archive: type[_Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_cache._Handler, "timeout", 0.2)
    archive.repeat = 100_000  # more than the sockets on the way can hold
    with socket.create_connection(("127.0.0.1", guest.cache_port)) as gone:
        gone.sendall(f"GET {_PACKAGE} HTTP/1.1\r\nHost: {guest.host}\r\n\r\n".encode())
        gone.recv(1)  # it is on its way, and then nobody reads on

        assert guest.ask(_PACKAGE) == (200, f"{_PACKAGE} whole".encode() * 100_000)

    assert archive.asked == [_PACKAGE]


def test_an_error_is_passed_on_and_not_kept(guest: _Guest, tmp_path: Path) -> None:
    assert guest.ask("/debian/pool/main/missing_1_amd64.deb")[0] == 404
    assert list(tmp_path.iterdir()) == []


def test_an_answer_of_unknown_length_is_passed_on_whole(guest: _Guest) -> None:
    assert guest.ask("/unsized") == (200, b"/unsized whole" * 1000)


def test_other_methods_are_passed_on_with_their_body(guest: _Guest) -> None:
    assert guest.ask("/v1/chat", method="POST", body="hello") == (201, b"hello")


def test_an_archive_that_is_not_there_is_a_bad_gateway(guest: _Guest) -> None:
    guest.host = "127.0.0.1:9"
    assert guest.ask(_PACKAGE)[0] == 502
