"""The client's side of a transaction: stage it, start the host's own unit, follow its journal, and go away at will."""

from __future__ import annotations

import base64
import io
import json
import shlex
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from labctl.edges.held_shell import Completed, HeldShell
from labctl.edges.transaction_program import PROGRAM, RECOVERY, UNITS, installed, unit_of
from labctl.errors import BadInput, Failed
from labctl.transaction.layout import BOOT_LETTERS, HALF_STAGED
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import Manifest, problems, stage_id
from labctl.transaction.report import RESULT

_POLLS, _POLL_SECONDS = 40, 0.25  # one command of the held shell: 10 s
_UNDO_POLLS = 30
"""Seconds, about, until the unit that undoes a killed transaction has begun."""
_IDENTIFIER = "labctl-transaction"
# Everything is compared first: staging the same twice changes nothing on the host. The folders that the units may write
# to are there before they run: systemd starts none whose folder is missing, and Podman could not make its own.
_STAGE = f"""set -eu
umask 077
install -d -m 755 /var/lib/labctl /etc/containers/systemd /etc/containers/networks /etc/labctl
install -d -m 755 {PROGRAM.rpartition("/")[0]}
install -d -m 700 /var/lib/labctl/stages /var/lib/labctl/generations
boot=$(head -c {BOOT_LETTERS} /proc/sys/kernel/random/boot_id)
new=$(mktemp -d "/var/lib/labctl/stages/{HALF_STAGED}$boot.XXXXXX")
trap 'rm -rf "$new"' EXIT
base64 -d | tar -xz --no-same-owner -C "$new"
changed=
cd "$new/system"
for file in $(find . -type f); do
  if cmp -s "$file" "/$file"; then continue; fi
  changed=yes
  cp -p "$file" "/$file.staged"; sync "/$file.staged"; mv -fT "/$file.staged" "/$file"
done
cd /
[ -z "$changed" ] || systemctl daemon-reload
systemctl -q is-enabled {RECOVERY} 2>/dev/null || systemctl -q enable {RECOVERY}
[ -n "$1" ] || exit 0
stage=/var/lib/labctl/stages/$1
if diff -r "$new/stage" "$stage" >/dev/null 2>&1; then touch "$stage"; exit 0; fi
rm -rf "$stage"
mv -T "$new/stage" "$stage"
"""
# The state is read before the journal: when it is over, nothing can come after what is read here. --all: a line of more
# than 4096 characters is left out otherwise, and a result may be one.
_FOLLOW = """set -u
unit=$1 cursor=$2
for poll in $(seq {polls}); do
  state=$(systemctl show --property ActiveState --value "$unit")
  job=$(systemctl show --property Job --value "$unit")
  [ -z "${{job#0}}" ] || state=queued
  case "$state" in inactive|failed) journalctl --sync ;; esac
  if [ -n "$cursor" ]; then since=--after-cursor=$cursor; else
    since=_SYSTEMD_INVOCATION_ID=$(systemctl show --property InvocationID --value "$unit")
    [ "$since" != _SYSTEMD_INVOCATION_ID= ] || since=_SYSTEMD_INVOCATION_ID=none
  fi
  said=$(journalctl --quiet --all --output=json --output-fields=MESSAGE "$since" _SYSTEMD_UNIT="$unit" \\
    SYSLOG_IDENTIFIER={identifier})
  case "$state" in inactive|failed) break ;; esac
  [ -z "$said" ] || break
  sleep {seconds}
done
echo "$state"
printf '%s\\n' "$said"
"""


@dataclass(frozen=True)
class Followed:
    """The host's account of a transaction that is over: `labctl.transaction.report.Result`, as JSON."""

    document: Mapping[str, Any]

    @property
    def outcome(self) -> str:
        """done, unchanged, refused, rolled back, left for the next boot."""
        return str(self.document["outcome"])

    @property
    def exit_code(self) -> int:
        """The host's, to end with."""
        return int(self.document["exit_code"])

    def raise_for_error(self) -> None:
        """Raise what the host could not do, as an error of this side. Nothing for done and unchanged."""
        error = self.document["error"]
        if error:
            problem = Failed(
                error["message"],
                where=error["where"],
                found=error["found"],
                expected=error["expected"],
                hint=error["hint"],
            )
            problem.exit_code = self.exit_code
            raise problem


class HostTransactions:
    """Transactions on the host that `shell` is a root shell of. Every method is one remote command or a few.

    transactions = HostTransactions("aibox", shell)
    instance = transactions.stage(manifest, contents)      # or "previous", "generation-3"
    since = transactions.start(instance)
    followed = transactions.follow(instance, print, since)     # without `since` after a broken connection
    """

    def __init__(self, host: str, shell: HeldShell) -> None:
        self._host = host
        self._shell = shell

    def stage(self, manifest: Manifest, contents: Mapping[str, bytes]) -> str:
        """Send a stage, and the program that will run it; returns its instance name. Nothing runs yet.

        contents: of every file of the manifest, by path. Raises BadInput for a manifest that no host would take.
        """
        for wrong in problems(manifest):
            raise BadInput(wrong, where="the stage")
        text = manifest.text()
        name = stage_id(text)
        files = {f"stage/{file.path}": (contents[file.path], 0o600) for file in manifest.files}
        files[f"stage/{MANIFEST}"] = (text.encode(), 0o600)
        self._send(name, files)
        return name

    def prepare(self) -> None:
        """Bring the program to the host without a stage: for a rollback with this version of labctl."""
        self._send("", {})

    def start(self, instance: str) -> str:
        """Start the host's unit and return at once, with the place in the journal from which to follow it.

        A transaction that runs already under this name is joined, not begun again.
        """
        unit = shlex.quote(unit_of(instance))
        done = self._run(
            "journalctl --quiet --lines=1 --output=json --output-fields=MESSAGE; "
            f"systemctl reset-failed {unit} 2>/dev/null; systemctl start --no-block {unit}",
            "start it",
        )
        return str(json.loads(done.stdout)["__CURSOR"]) if done.stdout.strip() else ""

    def follow(self, instance: str, on_line: Callable[[str], object], since: str = "") -> Followed:
        """Call `on_line` with each line that the host's transaction writes, until it is over; then say how it ended.

        One that is over already is told from what the host kept. Raises ConnectionLost when the connection breaks: the
        host goes on, and this can be called again. Raises Failed when the host knows nothing of it.
        """
        cursor, last = since, ""
        while True:
            state, entries = self._poll(instance, cursor)
            for entry in entries:
                cursor = entry["__CURSOR"]
                message = message_text(entry["MESSAGE"])
                if message.startswith(RESULT):
                    last = message.removeprefix(RESULT)
                else:
                    on_line(message)
            if state in ("inactive", "failed"):
                return Followed(json.loads(last)) if last else self._kept(instance)

    def status(self) -> dict[str, Any]:
        """What is in force, what there is to go back to, what is under way, how the last one ended."""
        done = self._run(f"[ ! -e {PROGRAM} ] || exec {PROGRAM} status", "tell its state")
        nothing: dict[str, Any] = {
            "current": None,
            "generations": [],
            "open": None,
            "running": None,
            "data_images": {},
            "last": None,
        }
        return dict(json.loads(done.stdout)) if done.stdout.strip() else nothing

    def _send(self, name: str, files: Mapping[str, tuple[bytes, int]]) -> None:
        files = {**files, **{f"system{path}": made for path, made in installed().items()}}
        command = f"sh -c {shlex.quote(_STAGE)} stage {shlex.quote(name)}"
        self._run(command, "stage it", stdin=base64.encodebytes(_tar(files)).decode())

    def _poll(self, instance: str, cursor: str) -> tuple[str, list[dict[str, Any]]]:
        script = _FOLLOW.format(polls=_POLLS, seconds=_POLL_SECONDS, identifier=_IDENTIFIER)
        arguments = shlex.join([unit_of(instance), cursor])
        done = self._run(f"sh -c {shlex.quote(script)} follow {arguments}", "follow it")
        state, *lines = done.stdout.decode("utf-8", "replace").splitlines()
        return state, [json.loads(line) for line in lines if line]

    def _kept(self, instance: str) -> Followed:
        waited = 0
        status = self.status()
        while status["open"] == instance and (status["running"] or waited < _UNDO_POLLS):
            waited += 1
            self._run("sleep 1", "follow it")
            status = self.status()
        last = status["last"]
        if last and last["transaction"] == instance and not status["open"]:
            return Followed(last)
        raise Failed(
            "the host does not say how it ended",
            where=self._host,
            found=f"nothing of {instance}" if not status["open"] else f"{status['open']} is still open",
            hint=f"journalctl -u '{unit_of(instance)}', then apply again",
        )

    def _run(self, command: str, what: str, stdin: str | None = None) -> Completed:
        done = self._shell.run(command, stdin=stdin)
        if done.exit_status:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise Failed(
                f"the host cannot {what}",
                where=self._host,
                found=said[-1] if said else f"exit status {done.exit_status}",
                hint=f"is its disk full? df /var/lib/labctl {UNITS}" if stdin else None,
            )
        return done


def message_text(message: str | list[int]) -> str:
    """journalctl gives what is not plain text as a list of bytes."""
    return message if isinstance(message, str) else bytes(message).decode("utf-8", "replace")


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for path, (data, mode) in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    return content.getvalue()
