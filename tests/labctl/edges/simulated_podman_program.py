"""A simulated `podman secret`, its state in a folder; the program, too, and so with the standard library alone.

As containers/common v0.57 (Podman 4.9): --replace of what is not there is an error.
"""

import json
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path


class Refused(Exception):
    """What it says, and ends with."""


def answered(folder: Path, words: list[str], given: bytes) -> bytes:
    """What it prints. Every command line is written down."""
    with (folder / "started").open("a") as log:
        log.write(" ".join(words) + "\n")
    if (folder / "broken").exists():
        raise Refused("Error: no space left on device")
    secrets = json.loads((folder / "secrets.json").read_text())
    names = words[words.index("--") + 1 :] if "--" in words else []
    match words[1:2]:
        case ["ls"]:
            hidden = folder / "hidden once"  # what somebody else makes a moment later
            listed = [] if hidden.exists() else list(secrets)
            hidden.unlink(missing_ok=True)
            return "".join(f"{name}\n" for name in listed).encode()
        case ["inspect"] if "--showsecret" in words:
            return bytes.fromhex(secrets[names[0]]["value"]) + b"\n"
        case ["inspect"]:
            return json.dumps([_told(name, secrets[name]) for name in names]).encode()
        case ["rm"]:
            (folder / "secrets.json").write_text(
                json.dumps({name: each for name, each in secrets.items() if name not in names})
            )
            return b""
        case ["create"]:
            return _create(folder, secrets, words, given)
    raise Refused(f"Error: not simulated: {words}")


def _told(name: str, secret: dict[str, str]) -> dict[str, object]:
    spec = {"Name": name, "Driver": {"Name": "file"}, "Labels": secret["labels"]}
    return {"CreatedAt": secret["created"], "UpdatedAt": secret["updated"], "Spec": spec}


def _create(folder: Path, secrets: dict[str, dict[str, object]], words: list[str], given: bytes) -> bytes:
    name, dash = words[words.index("--") + 1 :]
    if dash != "-":
        raise Refused("Error: not simulated: a secret from a file")
    if "--replace" in words and name not in secrets:
        raise Refused("Error: deleting secret : no such secret")
    if "--replace" not in words and name in secrets:
        raise Refused(f"Error: {name}: secret name in use")
    if not 0 < len(given) < 512000:
        raise Refused("Error: secret data must be larger than 0 and less than 512000 bytes")
    seconds = len((folder / "started").read_text().splitlines()) % 60
    now = f"2026-11-21T17:00:{seconds:02}.123456789Z"
    secrets[name] = {
        "value": given.hex(),
        "labels": dict(text.split("=", 1) for flag, text in pairwise(words) if flag == "--label"),
        "created": secrets[name]["created"] if name in secrets else now,
        "updated": now,
    }
    (folder / "secrets.json").write_text(json.dumps(secrets))
    kill = folder / "kill after"
    if kill.exists() and len(secrets) == int(kill.read_text()):
        os.kill(os.getppid(), signal.SIGKILL)
    return b""


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(answered(Path(sys.argv[1]), sys.argv[2:], sys.stdin.buffer.read()))
    except Refused as problem:
        sys.exit(str(problem))
