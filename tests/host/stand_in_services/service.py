"""What all stand-in programs do: say that they are, refuse what the true program would, answer at its port."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

_ASK_TIMEOUT_S = 5


def say(text: str) -> None:
    """A line of the log."""
    print(f"STAND-IN: {text}", flush=True)


def refuse(text: str) -> NoReturn:
    """End as the true program would."""
    say(f"refused: {text}")
    sys.exit(1)


def cards() -> list[str]:
    """UUIDs of the cards that this container was given."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return []
    lines = listed.stdout.splitlines() if listed.returncode == 0 else []
    return [line.partition("UUID: ")[2].rstrip(")") for line in lines]


class Answers(BaseHTTPRequestHandler):
    """GET, by path. about: the file; told: what the command line adds to its answers."""

    protocol_version = "HTTP/1.1"
    about: dict[str, Any]
    told: dict[str, str]

    def do_GET(self) -> None:
        """One request."""
        self.respond()

    def respond(self) -> None:
        """Answer as the catalogue expects it, or say what the stand-in itself sees."""
        path = self.path.partition("?")[0]
        if path == "/stand-in":
            self.answer(200, json.dumps({"reached": self.reached(), "cards": cards(), "user": os.getuid()}))
        elif path in (answers := self.about["answers"] | self.told):
            self.answer(200, answers[path])
        else:
            self.answer(404, "not found")

    def reached(self) -> dict[str, dict[str, str]]:
        """What comes back from the addresses that variables hold, by variable and address."""
        return {
            variable: {address: asked(address) for address in os.environ[variable].split(";")}
            for variable in self.about["asks"]
            if variable in os.environ
        }

    def answer(self, status: int, text: str) -> None:
        """A whole one."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, template: str, *values: object) -> None:
        """Its health is asked for all the time."""


def asked(address: str) -> str:
    """Status and beginning of the answer; of an OpenAI API its list of models."""
    url = f"{address}/models" if address.endswith("/v1") else address
    try:
        with urllib.request.urlopen(url, timeout=_ASK_TIMEOUT_S) as reply:
            return f"{reply.status} {reply.read(2000).decode(errors='replace')}"
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return str(error)


def refuse_what_the_true_one_would(about: dict[str, Any]) -> None:
    """End without what it needs."""
    for folder in about["writes"]:
        probe = Path(folder) / f".stand-in-{os.getpid()}"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            refuse(f"{folder} cannot be written as {os.getuid()}:{os.getgid()}: {error.strerror}")
    if about["needs_card"] and not cards():
        refuse("no card")


def serve(about: dict[str, Any], told: dict[str, str] | None = None) -> None:
    """Answer until told to stop."""
    Answers.about, Answers.told = about, told or {}
    say(f"serves at {about['port']}")
    ThreadingHTTPServer(("0.0.0.0", about["port"]), Answers).serve_forever()
