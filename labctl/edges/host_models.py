"""The client's side of a host's folder of models: what lies there, a pull that the host does itself, what is sent."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.edges.held_shell import Completed, HeldShell
from labctl.edges.model_store_program import (
    RUN,
    USER,
    instance_of,
    program,
    program_path,
    request_path,
    start_command,
    told_folder,
    unit_of,
)
from labctl.errors import AnswerIsNo, BadInput, Failed, LabctlError
from labctl.model_store.lying import Lying
from labctl.model_store.progress import Status
from labctl.model_store.request import PART, SENT_OF, Request, WantedFile, WantedModel
from labctl.render.host import MODELS

_NO_PROGRAM = 66
_PIECE_BYTES = 8 * 1024**2
_POLLS, _POLL_SECONDS = 20, 0.5  # one command of the held shell: 10 s
_SEND = """set -eu
umask 022
install -d -m 755 /run/labctl; install -d -m 755 {run}
base64 -d >"$1.new"
chmod 755 "$1.new"
mv -f "$1.new" "$1"
"""
# Folders of root's become the user's, as systemd's do; whose they are otherwise is a person's own affair.
_PREPARE = """set -eu
getent passwd {user} >/dev/null || useradd --system --user-group --no-create-home --home-dir /nonexistent \\
  --shell /usr/sbin/nologin --comment 'fetches model files for labctl' {user}
[ -d "$1" ] || install -d -m 755 -o {user} -g {user} "$1"
while [ $# -gt 0 ]; do
  if [ -d "$1" ] && [ ! -L "$1" ] && [ "$(stat -c %u "$1")" = 0 ]; then chown -h {user}:{user} "$1"; fi
  shift
done
"""
_START = """set -eu
umask 077
unit=$1 request=$2 told=$3
case "$(systemctl show --property ActiveState --value "$unit")" in active|activating) exit 0 ;; esac
find /run/labctl-models -mindepth 1 -maxdepth 1 -mtime +0 -exec rm -r {{}} + 2>/dev/null || true
rm -rf "$told"
trap 'rm -f "$request"' EXIT
cat >"$request"
{start}
"""
_FOLLOW = """set -u
unit=$1 told=$2 seen=$3
for poll in $(seq {polls}); do
  state=$(systemctl show --property ActiveState --value "$unit")
  now=$(cat "$told/status.json" 2>/dev/null)
  case "$state" in inactive|failed) break ;; esac
  [ "$now" = "$seen" ] || break
  sleep {seconds}
done
echo "$state"
printf '%s\\n' "$now"
case "$state" in inactive|failed) cat "$told/result.json" 2>/dev/null ;; esac
exit 0
"""


@dataclass(frozen=True)
class Pulled:
    """How one model of a pull ended. answer: of the server that did not give it: status and headers."""

    place: str
    outcome: str
    bytes: int | None
    error: LabctlError | None
    answer: Mapping[str, Any] | None


@dataclass(frozen=True)
class Folder:
    """What lies in a host's folder of models. free_bytes: what labctl would fill; None where there is no folder yet."""

    path: str
    free_bytes: int | None
    models: tuple[Lying, ...]


class HostModels:
    """The models of the host that `shell` is a root shell of. folder: where they lie; the inventory may say so."""

    def __init__(self, host: str, shell: HeldShell, folder: str = MODELS) -> None:
        self._host, self._shell, self.folder = host, shell, folder

    def present(self, paths: Collection[str]) -> frozenset[str]:
        """Those of these paths below the folder that are whole. Nothing is changed on the host's disks."""
        whole = [each for each in self.listed().models if each.whole]
        known = {each.place for each in whole} | {each.loaded_as for each in whole}
        return frozenset(path for path in paths if path in known)

    def loaded_as(self, places: Mapping[str, str]) -> dict[str, str]:
        """By workload, what its engine is given where that is not its place: the first part of a split file.

        For `HostFacts.model_files`.
        """
        found = {each.place: each.loaded_as for each in self.listed().models}
        return {
            workload: first
            for workload, place in places.items()
            if (first := found.get(place)) is not None and first != place
        }

    def listed(self) -> Folder:
        """What lies there."""
        return _folder(self._program("list", self.folder))

    def remove(self, place: str) -> Folder:
        """Remove a model; what is left. Raises BadInput for one that is not there, Failed while a pull is under way."""
        return _folder(self._program("rm", self.folder, place))

    def sizes(self, path: str) -> dict[str, int]:
        """The files of a path on the host, with their bytes; under `.` where it is one, and those beside it by name."""
        script = """set -eu
if [ -d "$1" ]; then find -L "$1" -type f -not -path '*/.*' -printf '%s %P\\n'; exit; fi
[ -f "$1" ] || exit 0
stat -L -c '%s .' "$1"
find -L "$(dirname "$1")" -maxdepth 1 -type f -name '*-of-?????.gguf' -printf '%s %P\\n'
"""
        found: dict[str, int] = {}
        for line in self._run(script, [path], "read").stdout.decode("utf-8", "surrogateescape").splitlines():
            size, _, name = line.partition(" ")
            found[name] = int(size)
        return found

    def send(self, model: WantedModel, files: Mapping[str, Path], on_bytes: Callable[[int], object]) -> None:
        """Bring files of this machine to where a pull of this model verifies them; what is there is not sent again.

        files: by their path in the model. on_bytes: called with how many bytes of all of them are there.
        """
        self._prepare([model.place])
        done = 0
        for file in model.files:
            done = self._send_file(model, file, files[file.path], done, on_bytes)

    def start(self, request: Request, reads: Iterable[str] = ()) -> str:
        """Start the host's unit for a request and return its name; one that runs already for the same is joined."""
        self._prepare([model.place for model in request.models])
        self._ensure_program()
        instance = instance_of(request.text(with_token=False))
        script = _START.format(start=start_command(instance, request.folder, tuple(reads)))
        arguments = [unit_of(instance), request_path(instance), told_folder(instance)]
        self._run(script, arguments, "start", stdin=request.text(with_token=True))
        return instance

    def follow(self, instance: str, on_status: Callable[[Status], object]) -> tuple[Pulled, ...]:
        """Call `on_status` with where the pull stands until it is over; then say how it ended.

        Raises ConnectionLost when the connection breaks: the host goes on, and this can be called again. Raises Failed
        where the host cannot say how it ended, and what kept it from beginning.
        """
        seen = ""
        while True:
            script = _FOLLOW.format(polls=_POLLS, seconds=_POLL_SECONDS)
            done = self._run(script, [unit_of(instance), told_folder(instance), seen], "follow")
            state, seen, *result = done.stdout.decode("utf-8", "replace").splitlines()
            if seen:
                on_status(Status(**json.loads(seen)))
            if state in ("inactive", "failed"):
                return self._ended(instance, result)

    def _ended(self, instance: str, result: list[str]) -> tuple[Pulled, ...]:
        if not result:
            raise Failed(
                "the pull on the host was ended before it was done",
                where=self._host,
                found=f"no result of {unit_of(instance)}",
                hint="run the same command again: it goes on from there",
            )
        document = json.loads(result[0])
        if document["error"]:
            raise _error(document["error"])
        return tuple(
            Pulled(
                each["place"],
                each["outcome"],
                each["bytes"],
                _error(each["error"]) if each["error"] else None,
                each["answer"],
            )
            for each in document["models"]
        )

    def _send_file(
        self,
        model: WantedModel,
        file: WantedFile,
        local: Path,
        done: int,
        on_bytes: Callable[[int], object],
    ) -> int:
        """Returns how many bytes of all files are there."""
        staged = f"{self.folder}/{model.place}{PART}/{file.path}"
        at = self._sent_already(staged, file)
        with local.open("rb") as content:
            content.seek(at)
            while piece := content.read(_PIECE_BYTES):
                # As the user who owns the folder: root would follow a link that somebody laid there.
                script = (
                    'base64 -d | runuser -u "$2" -- dd of="$1" bs=1M oflag=append conv=notrunc status=none'
                )
                stdin = base64.encodebytes(piece).decode()
                self._run(script, [f"{staged}{PART}", USER], "take", stdin=stdin)
                at += len(piece)
                on_bytes(done + at)
        return done + at

    def _sent_already(self, staged: str, file: WantedFile) -> int:
        """How much of it lies there; of another file of this name nothing stays. Makes its folder and an empty file."""
        script = """set -eu
[ ! -f "$1" ] || { stat -c %s "$1"; exit; }
runuser -u "$4" -- mkdir -p "$(dirname "$1")"
if [ "$(runuser -u "$4" -- cat "$2{of}" 2>/dev/null)" != "$3" ]; then
  rm -f "$2"; printf %s "$3" | runuser -u "$4" -- dd of="$2{of}" status=none
fi
runuser -u "$4" -- touch "$2"
stat -c %s "$2"
"""
        arguments = [staged, f"{staged}{PART}", file.sha256 or "", USER]
        done = self._run(script.replace("{of}", SENT_OF), arguments, "take")
        return int(done.stdout)

    def _prepare(self, places: Iterable[str]) -> None:
        """The user, the folder, and folders of root's on the way to these places that the user has to write to."""
        folders = [self.folder]
        for place in places:
            parts = place.split("/")[:-1]
            folders += [f"{self.folder}/{'/'.join(parts[: count + 1])}" for count in range(len(parts))]
        self._run(_PREPARE.format(user=USER), list(dict.fromkeys(folders)), "prepare")

    def _program(self, *arguments: str) -> dict[str, Any]:
        command = shlex.join(["/usr/bin/python3", "-I", program_path(), *arguments])
        script = f"[ -f {program_path()} ] || exit {_NO_PROGRAM}; exec {command}"
        done = self._shell.run(script)
        if done.exit_status == _NO_PROGRAM:
            self._ensure_program()
            done = self._shell.run(script)
        try:
            document: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise self._failed("keep its models", done) from None
        if "error" in document:
            raise _error(document["error"])
        return document

    def _ensure_program(self) -> None:
        path = program_path()
        if self._shell.run(f"[ -f {path} ]").exit_status:
            content = base64.encodebytes(program()).decode()
            self._run(_SEND.format(run=RUN), [path], "take the program", stdin=content)

    def _run(self, script: str, arguments: list[str], what: str, stdin: str | None = None) -> Completed:
        done = self._shell.run(shlex.join(["sh", "-c", script, "models", *arguments]), stdin=stdin)
        if done.exit_status:
            raise self._failed(what, done)
        return done

    def _failed(self, what: str, done: Completed) -> Failed:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return Failed(
            f"the host cannot {what} model files",
            where=self._host,
            found=said[-1] if said else f"exit status {done.exit_status}",
            hint=f"is {self.folder} full, or read-only? df -h {self.folder}",
        )


def _folder(document: Mapping[str, Any]) -> Folder:
    models = tuple(Lying(**each) for each in document["models"])
    return Folder(document["folder"], document["free_bytes"], models)


def _error(told: Mapping[str, Any]) -> LabctlError:
    """What the host could not do, as an error of this side."""
    kinds = {2: BadInput, 3: AnswerIsNo}
    kind = kinds.get(told["exit_code"], Failed)
    return kind(
        told["message"],
        where=told["where"],
        found=told["found"],
        expected=told["expected"],
        hint=told["hint"],
    )
