"""A hub on loopback with one repository, whose files have a beginning and a hole, and whose manners can be bad."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Literal
from urllib.parse import unquote, urlsplit

Manner = Literal["ranges", "ignores ranges", "cuts", "hangs up", "gated", "wrong range"]
REPOSITORY = "someone/model-GGUF"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_made_up_for_tests"
_CHUNK = 64 * 1024


@dataclass
class Hub:
    """files: name → (beginning, size). cuts: how many answers are cut, in a manner that cuts.

    busy: so many answers with `busy_status` before the first good one. redirected: files come from another origin.
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
        if path.startswith("/api/models/"):
            return self._list(path.removeprefix("/api/models/"))
        prefix = f"/{REPOSITORY}/resolve/{COMMIT}/"
        name = path.removeprefix(prefix)
        if not path.startswith(prefix) or name not in self.hub.files:
            return self._refuse(404, **{"X-Error-Code": "EntryNotFound"})
        if self.hub.manner == "gated" and not self.elsewhere and token != f"Bearer {TOKEN}":
            return self._refuse(401, **{"X-Error-Code": "GatedRepo"})
        if self.hub.redirected and not self.elsewhere:
            return self._refuse(302, Location=f"{self.hub.other_url}{self.path}")
        return self._file(*self.hub.files[name])

    def _list(self, path: str) -> None:
        name, _, revision = path.partition("/revision/")
        if name != REPOSITORY:
            return self._refuse(401, **{"X-Error-Code": "RepoNotFound"})
        if revision not in ("", "main", COMMIT):
            return self._refuse(404, **{"X-Error-Code": "RevisionNotFound"})
        siblings = [{"rfilename": file, "size": size} for file, (_, size) in self.hub.files.items()]
        document = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}
        content = json.dumps(document).encode() if self.hub.listing is None else self.hub.listing
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def _file(self, beginning: bytes, size: int) -> None:
        first, last = 0, size - 1
        asked = self.headers.get("Range")
        if asked and self.hub.manner != "ignores ranges":
            first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
            self.send_response(206)
            shown = first + (self.hub.manner == "wrong range")
            self.send_header("Content-Range", f"bytes {shown}-{last}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        end = last + 1
        if self.hub.manner in ("cuts", "hangs up") and self.hub.cuts:
            self.hub.cuts -= 1
            end = first + (last + 1 - first) // 2 if self.hub.manner == "cuts" else first
            self.close_connection = True
        while first < end:
            until = min(first + _CHUNK, end)
            chunk = beginning[first:until]
            try:
                self.wfile.write(chunk + bytes(until - first - len(chunk)))
            except OSError:  # who asked has heard enough
                self.close_connection = True
                return
            with self.hub.lock:
                self.hub.sent += until - first
            first = until

    def _refuse(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Tests have their own record."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, and the other origin that its files may come from, as long as the block lasts."""
    servers = []
    for elsewhere in (False, True):
        handler = type("Handler", (_Handler,), {"hub": hub, "elsewhere": elsewhere})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
    hub.url, hub.other_url = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
