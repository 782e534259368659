"""A transparent HTTP cache on the test network's router, so that a package crosses the wire once.

Every plain-HTTP request of a guest is redirected here (network.py); the guest's apt knows nothing of it and
resolves names, connects, and checks signatures and hashes as it would anywhere. Only what can never change
under its address is kept: Debian's `…/pool/….deb` and `…/by-hash/…`. The rest is passed through.

Started by file name, with nothing of this repository on its path: it listens in the session's network namespace
and fetches from the machine's own, and a process enters a network namespace before it has threads.
"""

import contextlib
import ctypes
import hashlib
import http.client
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO

_NEVER_CHANGES = re.compile(r"/pool/.*\.u?deb$|/by-hash/SHA256/[0-9a-f]{64}$")
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
READY = "the package cache listens"
_UPSTREAM_TIMEOUT_S = 60
_CLONE_NEWNET = 0x40000000
_fetching: dict[Path, threading.Lock] = {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds without a byte from or to the guest: its cable may be out, its power cut
    cache: Path

    def handle_one_request(self) -> None:
        """Answer one request; a guest that went away in the middle is no error."""
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def do_GET(self) -> None:
        """Serve from the cache what can be served from it."""
        kept = self._kept_at()
        if kept is None:
            self._pass_through()
            return
        with _fetching.setdefault(kept, threading.Lock()):
            found = kept.exists()
            if not found:
                self._pass_through(keep_as=kept)
        if found:
            self._serve(kept)

    def do_POST(self) -> None:
        """Pass on anything else as it is."""
        self._pass_through()

    def _kept_at(self) -> Path | None:
        """Where the answer is or would be kept; None for what may change, and for a part of a file."""
        path = self.path.partition("?")[0]
        if "Range" in self.headers or "?" in self.path or not _NEVER_CHANGES.search(path):
            return None
        address = f"{self.headers.get('Host', '')}{path}"
        return self.cache / f"{hashlib.sha256(address.encode()).hexdigest()[:32]}-{Path(path).name[-100:]}"

    def _serve(self, kept: Path) -> None:
        with kept.open("rb") as content:
            os.utime(kept)  # marks it as in use, see cleanup
            self.send_response(200)
            self.send_header("Content-Length", str(os.fstat(content.fileno()).st_size))
            self.end_headers()
            shutil.copyfileobj(content, self.wfile, 1 << 20)

    def _pass_through(self, keep_as: Path | None = None) -> None:
        host, _, port = self.headers.get("Host", "").partition(":")
        if not host:
            self.send_error(400, "no Host header")
            return
        upstream = http.client.HTTPConnection(host, int(port or 80), timeout=_UPSTREAM_TIMEOUT_S)
        try:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            upstream.request(self.command, self.path, self.rfile.read(length) if length else None, headers)
            answer = upstream.getresponse()
        except (OSError, http.client.HTTPException) as error:
            upstream.close()
            self.send_error(502, f"{type(error).__name__}: {error}")
            return
        with contextlib.closing(upstream), contextlib.closing(answer):
            self._relay(answer, keep_as if answer.status == 200 and answer.length is not None else None)

    def _relay(self, answer: http.client.HTTPResponse, keep_as: Path | None) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        bodyless = self.command == "HEAD" or answer.status in {204, 304}
        if answer.length is None and not bodyless:
            # Its end is where the connection ends.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self._relay_body(answer, keep_as)

    def _relay_body(self, answer: http.client.HTTPResponse, keep_as: Path | None) -> None:
        # Others may wait for what is being kept: it is fetched to its end, also when who asked for it is gone.
        gone: OSError | None = None
        with _kept(keep_as) as copy:
            while (copy or not gone) and (chunk := answer.read(1 << 16)):
                if copy:
                    copy.write(chunk)
                gone = gone or self._send(chunk)
            if answer.length:
                raise ConnectionResetError  # upstream broke off: what we have of it is not kept
        if gone:
            raise gone

    def _send(self, chunk: bytes) -> OSError | None:
        try:
            self.wfile.write(chunk)
        except OSError as error:
            return error
        return None

    def log_message(self, template: str, *values: object) -> None:
        """One line per request, in the session's folder."""
        print(f"{self.address_string()} {template % values}", flush=True)


for _method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
    setattr(_Handler, f"do_{_method}", _Handler.do_POST)


@contextlib.contextmanager
def _kept(path: Path | None) -> Iterator[BinaryIO | None]:
    """A file that appears at `path` complete or not at all; other sessions may be writing the same one."""
    if path is None:
        yield None
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(descriptor, "wb") as copy:
            yield copy
        Path(temporary).rename(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _enter_network(namespace: BinaryIO) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def main(namespace: str, port: int, cache: Path) -> None:
    """Serve until killed. namespace: path of the network namespace to listen in."""
    with Path("/proc/self/ns/net").open("rb") as outside, Path(namespace).open("rb") as inside:
        _enter_network(inside)
        server = ThreadingHTTPServer(("0.0.0.0", port), _Handler, bind_and_activate=False)
        server.request_queue_size = socket.SOMAXCONN
        server.server_bind()
        server.server_activate()
        _enter_network(outside)
    server.daemon_threads = True
    _Handler.cache = cache
    print(READY, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
