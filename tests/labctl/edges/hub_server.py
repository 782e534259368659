"""A simulated hub with one repository, whose files have a beginning and a hole, and whose manners can be bad."""

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Literal
from urllib.parse import unquote, urlsplit

Manner = Literal[
    "ranges", "ignores ranges", "cuts", "hangs up", "gated", "wrong range", "zips", "damages", "keeps quiet"
]
REPOSITORY = "someone/model-GGUF"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_made_up_for_tests"
_CHUNK = 64 * 1024
_JSON = {"Content-Type": "application/json"}


@dataclass
class Hub:
    """files: name → (beginning, size). cuts: how many answers are cut, in a manner that cuts.

    busy: so many answers with `busy_status` before the first good one. redirected: files come from another origin.
    hashes: the listing has them, by git's rules for files below `large`. slow_seconds: for each chunk of 64 kB.
    A hub that keeps quiet does not say how long a file is, and gives the same files at /files/NAME.
    What was asked and sent is kept for the tests.
    """

    files: Mapping[str, tuple[bytes, int]]
    manner: Manner = "ranges"
    cuts: int = 1_000_000
    busy: int = 0
    busy_status: int = 429
    retry_after: str | None = "1"
    redirected: bool = False
    listing: bytes | None = None
    hashes: bool = False
    large: int = 1024
    slow_seconds: float = 0.0
    url: str = ""
    other_url: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    tokens_elsewhere: list[str] = field(default_factory=list)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: ClassVar[Hub]
    elsewhere: ClassVar[bool] = False

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.requests.append((path, self.headers.get("Range")))
            busy = self.hub.busy > 0
            self.hub.busy -= busy
        token = self.headers.get("Authorization")
        if self.elsewhere and token:
            self.hub.tokens_elsewhere.append(token)
        if busy:
            retry = {"Retry-After": self.hub.retry_after} if self.hub.retry_after else {}
            return self._refuse(self.hub.busy_status, **retry)
        if path.startswith("/api/models"):
            return self._list(path.removeprefix("/api/models").lstrip("/"))
        prefix = f"/{REPOSITORY}/resolve/{COMMIT}/"
        name = path.removeprefix(prefix).removeprefix("/files/")
        if not path.startswith((prefix, "/files/")) or name not in self.hub.files:
            return self._refuse(404, **{"X-Error-Code": "EntryNotFound"})
        if self.hub.manner == "gated" and not self.elsewhere and token != f"Bearer {TOKEN}":
            return self._refuse(401, **{"X-Error-Code": "GatedRepo"})
        if token == "Bearer old":
            return self._refuse(401, **{"X-Error-Message": "Invalid credentials in Authorization header"})
        if self.hub.redirected and not self.elsewhere:
            return self._refuse(302, Location=f"{self.hub.other_url}{self.path}")
        if self.hub.manner == "zips":
            return self._whole(gzip.compress(self.hub.files[name][0]), **{"Content-Encoding": "gzip"})
        return self._file(*self.hub.files[name])

    def _list(self, path: str) -> None:
        name, _, revision = path.partition("/revision/")
        if not name:  # a search
            return self._whole(json.dumps([{"id": REPOSITORY}]).encode(), **_JSON)
        if name != REPOSITORY:
            return self._refuse(401, **{"X-Error-Code": "RepoNotFound"})
        if revision not in ("", "main", COMMIT):
            return self._refuse(404, **{"X-Error-Code": "RevisionNotFound"})
        siblings = [
            {"rfilename": file, "size": size, **(self._hashes(start, size) if self.hub.hashes else {})}
            for file, (start, size) in self.hub.files.items()
        ]
        document = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}
        content = json.dumps(document).encode() if self.hub.listing is None else self.hub.listing
        return self._whole(content, **_JSON)

    def _hashes(self, beginning: bytes, size: int) -> dict[str, object]:
        content = beginning + bytes(size - len(beginning))
        oid = hashlib.sha1(f"blob {size}\0".encode() + content).hexdigest()
        if size < self.hub.large:
            return {"blobId": oid}
        sha256 = hashlib.sha256(content).hexdigest()
        return {"blobId": "0" * 40, "lfs": {"sha256": sha256, "size": size, "pointerSize": 134}}

    def _whole(self, content: bytes, **headers: str) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _file(self, beginning: bytes, size: int) -> None:
        first, last = 0, size - 1
        asked = self.headers.get("Range")
        if asked and self.hub.manner != "ignores ranges":
            begins, _, ends = asked.removeprefix("bytes=").partition("-")
            first, last = int(begins), int(ends or last)
            if first >= size:
                return self._refuse(416, **{"Content-Range": f"bytes */{size}"})
            self.send_response(206)
            shown = first + (self.hub.manner == "wrong range")
            self.send_header("Content-Range", f"bytes {shown}-{last}/{size}")
        else:
            self.send_response(200)
        if self.hub.manner == "keeps quiet":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        end = last + 1
        if self.hub.manner in ("cuts", "hangs up") and self.hub.cuts:
            self.hub.cuts -= 1
            end = first + (last + 1 - first) // 2 if self.hub.manner == "cuts" else first
            self.close_connection = True
        while first < end:
            until = min(first + _CHUNK, end)
            time.sleep(self.hub.slow_seconds)
            chunk = beginning[first:until]
            if self.hub.manner == "damages":
                chunk = chunk[:-1] + b"?"
            try:
                self.wfile.write(chunk + bytes(until - first - len(chunk)))
            except OSError:  # who asked has heard enough
                self.close_connection = True
                return None
            with self.hub.lock:
                self.hub.sent += until - first
            first = until
        return None

    def _refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Tests have their own record."""


@contextmanager
def serving(hub: Hub, address: str = "127.0.0.1") -> Iterator[Hub]:
    """The hub, and the other origin that its files may come from, as long as the block lasts."""
    servers = []
    for elsewhere in (False, True):
        handler = type("Handler", (_Handler,), {"hub": hub, "elsewhere": elsewhere})
        server = ThreadingHTTPServer((address, 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
    hub.url, hub.other_url = (f"http://{address}:{server.server_address[1]}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
