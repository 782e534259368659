"""What a host does with its Podman secrets. This one file is sent there and run by the host's own Python, as root.

It reads one request as JSON from its standard input and prints one answer as JSON, so that no value is ever an argument
or in the environment of a process, nor in a file but Podman's. Podman itself is given values by its standard input.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import string
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

_LETTERS_AND_DIGITS = string.ascii_letters + string.digits
UNITS = Path("/etc/containers/systemd/labctl")
PLAN = Path("/var/lib/labctl/generations/current/plan.json")
LIBRARY = Path("/var/lib/labctl")
# As labctl.render.names has them.
_VERSION = re.compile(r"([a-z0-9-]+-env_[A-Za-z0-9_]+)(\.[0-9a-f]{8})?")


class PodmanSays(Exception):
    """Podman could not do it; its last line."""


def answered(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request: `look`, `put` some, `prune`, or `reveal` some."""
    match request["do"]:
        case "look":
            return _look()
        case "put":
            return _put(request["secrets"])
        case "prune":
            return {"removed": _pruned()}
        case _:
            return {"values": {name: _encoded(_value(name)) for name in request["names"]}}


def _look() -> dict[str, Any]:
    """Every secret but its value; which units of ours take which; the plan that is in force."""
    return {
        "secrets": _listed(),
        "units": _units(),
        "plan": PLAN.read_text(encoding="utf-8") if PLAN.is_file() else None,
    }


def _listed() -> list[dict[str, Any]]:
    names = _names()
    return [
        {
            "name": each["Spec"]["Name"],
            "labels": each["Spec"].get("Labels") or {},
            "created_at": each["CreatedAt"],
            "updated_at": each["UpdatedAt"],
        }
        for each in (json.loads(_podman("secret", "inspect", "--", *names)) if names else ())
    ]


def _pruned() -> list[str]:
    """Remove versions that neither a unit, nor a generation, nor a stage takes; their names.

    The newest of each secret stays: somebody may just have given it, and begins in a moment.
    """
    versions: dict[str, list[tuple[datetime, str]]] = {}
    for each in _listed():
        found = _VERSION.fullmatch(each["name"])
        if found and each["labels"].get("labctl.made") == "written":
            made_at = datetime.fromisoformat(each["updated_at"])
            versions.setdefault(found[1], []).append((made_at, each["name"]))
    old = [name for found in versions.values() for _, name in sorted(found)[:-1]]
    if not old:
        return []
    units = [*UNITS.glob("*.container"), *LIBRARY.glob("*/*/units/*.container")]
    taken = {name for path in units for name in _taken(path)}
    removed = [name for name in old if name not in taken]
    if removed:
        _podman("secret", "rm", "--", *removed)
    return removed


def _put(wanted: list[dict[str, Any]]) -> dict[str, Any]:
    """Make or change them in order, each by itself: killed between two, the same request does the rest.

    Each has `characters` of a random one, or a `value`, or neither where it only has to be there. over: what may be
    replaced: `nothing`, `another value`, or `anything`.
    """
    there = set(_names())
    missing = [
        each["name"]
        for each in wanted
        if each["characters"] is None and each["value"] is None and each["name"] not in there
    ]
    if missing:
        return {"missing": missing, "outcomes": {}}
    return {"missing": [], "outcomes": {each["name"]: _put_one(each, there) for each in wanted}}


def _put_one(each: dict[str, Any], there: set[str]) -> str:
    name, characters, over = each["name"], each["characters"], each["over"]
    is_there = name in there
    if characters is None and each["value"] is None:
        return "same"
    if characters is not None:
        if is_there and over == "nothing":
            return "same"
        value = "".join(secrets.choice(_LETTERS_AND_DIGITS) for _ in range(characters)).encode()
    else:
        value = base64.b64decode(each["value"])
        if is_there and value == _value(name):
            return "same"
        if is_there and over == "nothing":
            return "kept"
    labels = [part for key, text in each["labels"].items() for part in ("--label", f"{key}={text}")]
    # Podman 4.9 refuses --replace where there is nothing to replace.
    replace = ["--replace"] if is_there else []
    try:
        _podman("secret", "create", *replace, *labels, "--", name, "-", given=value)
    except PodmanSays:
        if is_there or name not in _names():
            raise
        return _put_one(each, {name})  # somebody else has made it meanwhile
    return "changed" if is_there else "made"


def _names() -> list[str]:
    return _podman("secret", "ls", "--format", "{{.Name}}").decode().split("\n")[:-1]


def _value(name: str) -> bytes:
    """As it was given: as JSON Podman would spoil what is not UTF-8."""
    shown = _podman("secret", "inspect", "--showsecret", "--format", "{{.SecretData}}", "--", name)
    return shown.removesuffix(b"\n")


def _units() -> list[dict[str, Any]]:
    """Those that take secrets: which, and when each was started last, in seconds since 1970."""
    taking: dict[str, list[str]] = {}
    for path in sorted(UNITS.glob("*.container")):
        if names := _taken(path):
            taking[f"{path.stem}.service"] = names
    return [{"unit": unit, "secrets": names, **_state(unit)} for unit, names in taking.items()]


def _taken(path: Path) -> list[str]:
    rows = [line.partition("=") for line in path.read_text(encoding="utf-8").splitlines()]
    return [value.partition(",")[0] for key, _, value in rows if key == "Secret"]


def _state(unit: str) -> dict[str, Any]:
    properties = "--property=ActiveState,InactiveExitTimestamp"
    shown = _run("systemctl", "show", "--timestamp=unix", properties, "--", unit).decode()
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    started = values.get("InactiveExitTimestamp", "").removeprefix("@")
    is_active = values.get("ActiveState") in ("active", "activating", "reloading")
    return {"active": is_active, "started_at": int(started) if is_active and started.isdigit() else None}


def _podman(*arguments: str, given: bytes | None = None) -> bytes:
    return _run("podman", *arguments, given=given)


def _run(*command: str, given: bytes | None = None) -> bytes:
    try:
        done = subprocess.run(command, input=given or b"", capture_output=True, check=False)
    except OSError as problem:
        raise PodmanSays(f"{command[0]}: {problem.strerror}") from problem
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise PodmanSays(lines[-1] if lines else f"{command[0]}: exit status {done.returncode}")
    return done.stdout


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def main() -> None:
    """One request, one answer; `problem` is what Podman had against it."""
    try:
        answer = answered(json.load(sys.stdin))
    except PodmanSays as problem:
        answer = {"problem": str(problem)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
