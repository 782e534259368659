"""A container registry that only gives: the pull half of the OCI distribution specification, of a folder of images.

Started by file name with nothing of this repository on its path, on the test network's router. The folder is a
`tests.host.oci_store.Store`; a name begins with that of the registry it stands in for, as a mirror's does. It hands out
fast, or as slowly as it is told.
"""

import os
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

READY = "the registry listens"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_NAME = r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)+"
_MANIFEST = re.compile(rf"/v2/({_NAME})/manifests/(sha256:[0-9a-f]{{64}}|[A-Za-z0-9_][A-Za-z0-9_.-]*)")
_BLOB = re.compile(rf"/v2/({_NAME})/blobs/(sha256:[0-9a-f]{{64}})")


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of images. store: their folder. seconds_per_mib: what it waits before each MiB of a blob."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    store: Path
    seconds_per_mib = 0.0

    def do_GET(self) -> None:
        """Answer with what there is."""
        path = self.path.partition("?")[0]
        if path in ("/v2", "/v2/"):
            self._say(200, "application/json", b"{}")
        elif asked := _MANIFEST.fullmatch(path):
            self._manifest(*asked.groups())
        elif asked := _BLOB.fullmatch(path):
            self._blob(asked[2], "application/octet-stream")
        else:
            self._unknown("NAME_UNKNOWN", "not found")

    def do_HEAD(self) -> None:
        """The same without its body."""
        self.do_GET()

    def _manifest(self, name: str, reference: str) -> None:
        tags = self.store / "repositories" / name
        tag = tags / reference
        if not tags.is_dir():
            self._unknown("NAME_UNKNOWN", "repository name not known to registry")
        elif reference.startswith("sha256:") and reference in {each.read_text() for each in tags.iterdir()}:
            self._blob(reference, _MANIFEST_TYPE)
        elif tag.is_file():
            self._blob(tag.read_text(), _MANIFEST_TYPE)
        else:
            self._unknown("MANIFEST_UNKNOWN", "manifest unknown")

    def _blob(self, digest: str, kind: str) -> None:
        path = self.store / "blobs" / "sha256" / digest.removeprefix("sha256:")
        if not path.is_file():
            self._unknown("BLOB_UNKNOWN", "blob unknown to registry")
            return
        with path.open("rb") as content:
            self._head(200, kind, os.fstat(content.fileno()).st_size, digest)
            if self.command == "GET":
                while some := content.read(1 << 20):
                    time.sleep(self.seconds_per_mib)
                    self.wfile.write(some)

    def _unknown(self, code: str, message: str) -> None:
        text = f'{{"errors": [{{"code": "{code}", "message": "{message}"}}]}}'
        self._say(404, "application/json", text.encode())

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self._head(status, kind, len(body))
        if self.command == "GET":
            self.wfile.write(body)

    def _head(self, status: int, kind: str, size: int, digest: str = "") -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()

    def log_message(self, template: str, *values: object) -> None:
        """One line per request, in the session's folder."""
        print(f"{self.address_string()} {template % values}", flush=True)


def main(address: str, port: int, store: Path, seconds_per_mib: float = 0.0) -> None:
    """Serve until killed."""
    Handler.store, Handler.seconds_per_mib = store, seconds_per_mib
    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    print(READY, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), *map(float, sys.argv[4:]))
