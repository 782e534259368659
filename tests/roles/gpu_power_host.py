"""A machine of one folder for the roles of cards: nvidia-smi and systemctl as shell scripts, scripts run for real."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from labctl.hoststate import survey
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Difference, Pending, Resource

UUIDS = tuple(f"GPU-51b01a7e-0000-4000-8000-{number:012d}" for number in range(4))
# Cards are files UUID in the folder `cards`: default and limit, watts; UUID.stuck takes no limit; `lost` complains.
_NVIDIA_SMI = """#!/bin/sh
cd "$(dirname "$0")/cards" || exit 1
one= watts= query=
while [ $# -gt 0 ]; do
  case $1 in -i) one=$2; shift ;; -pl) watts=$2; shift ;; --query-gpu=power.limit) query=limit ;; esac
  shift
done
if [ -s lost ] && ! [ -e "$one" ]; then
  case $one in [1-9]*) echo "No devices were found"; exit 6 ;; "") ;; *) set -- GPU-*; one=$(echo "$1") ;; esac
  [ -n "$one" ] || { cat lost; exit 15; }
fi
if [ -n "$watts" ]; then
  [ -e "$one" ] || { echo "No devices were found"; exit 6; }
  [ ! -e "$one.stuck" ] || { echo "Insufficient Permissions"; exit 4; }
  read -r default _ <"$one"; echo "$default $watts" >"$one"; echo "$one $watts" >>set
  exit 0
fi
for card in ${one:-GPU-*}; do
  case $card in *.stuck) continue ;; esac
  [ -e "$card" ] || { echo "No devices were found"; exit 6; }
  read -r default limit <"$card"
  if [ "$query" = limit ]; then echo "$limit.00"; continue; fi
  echo "$card, 00000000:10:00.0, 24576, $limit.00, $default.00, 100.00, 375.00, Enabled, NVIDIA GeForce RTX 3090"
done
"""
# Enough of systemd: units are enabled and active; one that is started runs its lines, as a oneshot with `-` does.
_SYSTEMCTL = """#!/bin/sh
root=$(dirname "$0")
verb=$1; shift
case $verb in
enable) touch "$root/$1.enabled" ;;
disable) shift; for unit in "$@"; do rm -f "$root/$unit.enabled" "$root/$unit.active"; done ;;
restart)
  grep -c . "$root/etc/systemd/system/$1" >/dev/null || exit 1
  rm -rf "$root/run/${1%.service}"
  sed -n 's,^ExecStart=-,,p' "$root/etc/systemd/system/$1" | while read -r program arguments; do
    case $program in /usr/bin/*) "$root/${program##*/}" $arguments ;; *) "$root/ran" "$root$program" $arguments ;; esac
  done
  touch "$root/$1.active" ;;
is-enabled) [ -e "$root/$1.enabled" ] && echo enabled ;;
is-active) [ "$1" = -q ] && shift; [ -e "$root/$1.active" ] ;;
show)
  for unit in "$@"; do :; done
  echo "Id=$unit"
  [ -e "$root/etc/systemd/system/$unit" ] && echo LoadState=loaded || echo LoadState=not-found
  [ -e "$root/$unit.enabled" ] && echo UnitFileState=enabled
  if [ -e "$root/$unit.active" ]; then
    echo ActiveState=active
    date -u -r "$root/$unit.active" '+ActiveEnterTimestamp=%a %Y-%m-%d %H:%M:%S.%6N UTC'
  fi ;;
esac
"""
# Runs a program that a role brought: what it does under /run is done in the folder.
_RAN = """#!/bin/sh
program=$1; shift
sed "s,/run/,$(dirname "$0")/run/,g" "$program" | sh -s -- "$@"
"""
_HERE = ("/etc/", "/run/", "/usr/local/")


@dataclass
class FakeMachine:
    """What a script finds under `/etc`, `/run` and `/usr/local` and on its PATH is in `folder`."""

    folder: Path
    nvidia_smi: str = _NVIDIA_SMI
    pending: Pending = field(default_factory=Pending)

    def __post_init__(self) -> None:
        (self.folder / "cards").mkdir()
        for name, text in (("nvidia-smi", self.nvidia_smi), ("systemctl", _SYSTEMCTL), ("ran", _RAN)):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)

    def plug_in(self, number: int, watts: int = 350) -> str:
        """One more RTX 3090, at this limit; returns its UUID."""
        (self.folder / "cards" / UUIDS[number]).write_text(f"350 {watts}\n")
        return UUIDS[number]

    def limit(self, uuid: str) -> int:
        """What a card is limited to."""
        return int((self.folder / "cards" / uuid).read_text().split()[1])

    def see(self, resource: Resource) -> Observations:
        """A survey by the script that a host would be asked."""
        probes = resource.probes()
        done = self._run(survey.script(probes))
        said = done.stdout
        for path in _HERE:
            said = said.replace(f"{self.folder}{path}", path)
        return survey.parse(probes, said)

    def compare(self, resource: Resource) -> Difference | None:
        """How it differs."""
        return resource.compare(self.see(resource), self.pending)

    def converge(self, resource: Resource) -> subprocess.CompletedProcess[str] | None:
        """As a deploy does: nothing where nothing differs."""
        seen = self.see(resource)
        if resource.compare(seen, Pending()) is None:
            return None
        action: Action = resource.action(seen)
        return self._run(action.script, "".join(line + "\n" for line in action.stdin))

    def path(self, on_host: str) -> Path:
        """Where a path of the host lies."""
        return self.folder / on_host.lstrip("/")

    def _run(self, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        here = script.replace("chown root:root", ": chown")
        for path in _HERE:
            here = here.replace(path, f"{self.folder}{path}")
        here = re.sub(r"^(\S+/usr/local/\S+) GPU-", rf"{self.folder}/ran \1 GPU-", here, flags=re.MULTILINE)
        here = here.replace("%u|%g", "root|root").replace("sync /", ": /").replace("sleep 0.3", ":")
        return subprocess.run(
            ["sh", "-c", here],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
        )
