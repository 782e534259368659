"""A stand-in for a service: answers as llama.cpp's server does, or with what `says` beside it has in it.

Runs in a container, by the host's own Python; nothing of the tests is imported here.
"""

import http.server
import signal
import sys
from pathlib import Path

ANSWERS = {
    "/health": '{"status":"ok"}',
    "/v1/models": '{"data":[{"id":"stand-in","owned_by":"llamacpp"}]}',
    "/metrics": "llamacpp:tokens_predicted_total 400\nllamacpp:tokens_predicted_seconds_total 10\n",
}
SAYS = Path(__file__).with_name("says")


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        """Answer it."""
        answer = SAYS.read_text() if SAYS.exists() and self.path == "/v1/models" else ANSWERS.get(self.path)
        self.send_response(200 if answer is not None else 404)
        self.end_headers()
        self.wfile.write((answer or "stand-in").encode())


if __name__ == "__main__":
    # The first process of a container is deaf to what it does not ask for, and would be waited for at every stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"stand-in begins: {' '.join(sys.argv[1:3])}", flush=True)
    http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
