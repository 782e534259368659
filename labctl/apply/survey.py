"""One shell script, run as root, that tells everything an apply wants to know of a host, and its answer as a value."""

import base64
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from labctl.apply.foreign import OUR_LABEL, Container, Listener, containers, listeners, ours
from labctl.apply.generation import Generation
from labctl.errors import Failed
from labctl.rig.host_report import asking, sections
from labctl.rig.reported import OUR_PREFIX, unit_of
from labctl.transaction.decision import FileSeen
from labctl.transaction.layout import OURS_ALONE, PROGRAM, TREES
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import parse as parse_manifest

_GENERATIONS = "/var/lib/labctl/generations"
# Programs that take a card when they are asked, and are no container.
_CARD_SERVICES = (
    "ollama.service",
    "comfyui.service",
    "vllm.service",
    "llama-server.service",
    "koboldcpp.service",
)
_TREES = " ".join(f"/{place}" for place in TREES.values())
_USERS = "--query-compute-apps=gpu_uuid,pid,process_name,used_memory --format=csv,noheader,nounits"
_EACH = f'{{{{.ID}}}} {{{{.Names}}}} {{{{index .Labels "{OUR_LABEL}"}}}}'
# A line of it that `labctl.apply.foreign` would take for one of ours, for sed.
_OURS = rf"^([0-9a-f]+) ({OUR_PREFIX}[^ ]*) .+$"
# Podman, the transaction program and the rest say what they say at the same time, and each is printed whole: the right
# side of a pipe begins at once, and prints what came through the pipe when it is done itself. Of a container of ours no
# more is asked than its name.
SCRIPT = rf"""
export LC_ALL=C
section() {{ printf '\n@@labctl %s\n' "$1"; }}
{{
section podman; podman --version 2>/dev/null
section secrets; podman secret ls --format '{{{{.Name}}}}' 2>/dev/null
}} | {{
{{
section status; [ ! -x {PROGRAM} ] || {PROGRAM} status
}} </dev/null | {{
{{
section containers
every=
if command -v podman >/dev/null; then
  every=$(podman ps --no-trunc --format '{_EACH}' 2>/dev/null)
  others=$(printf '%s\n' "$every" | sed -E '/{_OURS}/d; s/ .*//')
  [ -z "$others" ] || podman container inspect $others 2>/dev/null
fi
if command -v docker >/dev/null; then
  others=$(docker ps -q 2>/dev/null)
  [ -z "$others" ] || docker container inspect $others 2>/dev/null
fi
section ours; printf '%s\n' "$every" | sed -nE 's/{_OURS}/\1 \2/p'
section name; uname -n
section cores; getconf _NPROCESSORS_ONLN
section time-zone; zone=$(readlink /etc/localtime) || [ -e /etc/localtime ] || zone=/zoneinfo/UTC
case $zone in */zoneinfo/*) echo "${{zone##*/zoneinfo/}}" ;; esac
section devices
find /dev -maxdepth 4 '(' -path /dev/shm -o -path /dev/pts -o -path /dev/mqueue ')' -prune -o -print 2>/dev/null
section cards{asking("--query-gpu=uuid,memory.total,driver_version --format=csv,noheader,nounits")}
section card-users{asking(_USERS)}
users=$(printf '%s\n' "$report" | grep '^GPU-')
section cdi
grep -rhoE 'GPU-[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}' /etc/cdi /var/run/cdi 2>/dev/null | sort -u
section listeners
heard=$(ss -Hlntup 2>/dev/null); printf '%s\n' "$heard"
section cgroups
for pid in $(printf '%s\n' "$users" | cut -d, -f2) $(printf '%s\n' "$heard" | grep -o 'pid=[0-9]*' | cut -d= -f2)
do
  echo "pid $pid"
  while read -r line; do echo "$line"; done 2>/dev/null <"/proc/$pid/cgroup"
done
section card-services; systemctl is-active {" ".join(_CARD_SERVICES)} 2>/dev/null
section units; systemctl list-units --all --plain --no-legend --state=active,reloading,activating 'labctl-*' 2>/dev/null
section installed
find {_TREES} -type f -printf '%m %p\n' 2>/dev/null
section sums; find {_TREES} -type f -exec sha256sum {{}} + 2>/dev/null
section generation; {{ [ ! -e {_GENERATIONS}/current ] || tar -cz -C {_GENERATIONS}/current . ; }} | base64
}} </dev/null
cat
}}
cat
}}
section end
"""


@dataclass(frozen=True)
class Card:
    """One card that the driver answers for."""

    uuid: str
    memory_mib: int | None
    driver: str | None


@dataclass(frozen=True)
class CardUser:
    """A process that holds memory of a card. memory_mib: None where the driver does not tell."""

    card: str
    pid: int
    program: str
    memory_mib: int | None
    unit: str | None
    ours: bool


@dataclass(frozen=True)
class Seen:
    """A host as it is.

    podman: what `podman --version` says, "" where there is none. devices: all paths below /dev. described: cards that
    containers can be given (CDI). containers: of ours no more than the name. card_services: programs that run and take
    cards by themselves. up: units of ours that run, or begin to. installed: by staged path. status: of the transaction
    program, None where it never ran here.
    """

    name: str
    podman: str = ""
    cores: int | None = None
    time_zone: str | None = None
    devices: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    cards: tuple[Card, ...] = ()
    card_users: tuple[CardUser, ...] = ()
    described: frozenset[str] = frozenset()
    listeners: tuple[Listener, ...] = ()
    containers: tuple[Container, ...] = ()
    card_services: tuple[str, ...] = ()
    up: frozenset[str] = frozenset()
    installed: Mapping[str, FileSeen] = field(default_factory=dict)
    status: Mapping[str, Any] | None = None
    generation: Generation | None = None

    @property
    def current(self) -> int | None:
        """The generation that is in force."""
        return self.status["current"] if self.status else None

    @property
    def running(self) -> str | None:
        """The transaction that runs there just now."""
        return self.status["running"] if self.status else None


def parse(output: str) -> Seen:
    """Read what SCRIPT printed. Raises Failed when it ends early."""
    parts = sections(output)
    if "end" not in parts:
        raise Failed(
            "the host did not say what runs on it",
            found=repr(output[-80:]),
            hint="run the same command again",
        )
    cgroups = _cgroups(parts["cgroups"])
    cores, zone = parts["cores"].strip(), parts["time-zone"].strip()
    return Seen(
        name=parts["name"].strip(),
        podman=parts["podman"].strip(),
        cores=int(cores) if cores.isdigit() else None,
        time_zone=zone or None,
        devices=frozenset(parts["devices"].splitlines()),
        secrets=frozenset(parts["secrets"].split()),
        cards=tuple(_cards(parts["cards"])),
        card_users=tuple(_card_users(parts["card-users"], cgroups)),
        described=frozenset(parts["cdi"].split()),
        listeners=tuple(listeners(parts["listeners"], cgroups)),
        containers=(*ours(parts["ours"]), *containers(parts["containers"])),
        card_services=tuple(
            unit
            for unit, state in zip(_CARD_SERVICES, parts["card-services"].split(), strict=False)
            if state == "active"
        ),
        up=frozenset(line.split()[0] for line in parts["units"].splitlines() if line.strip()),
        installed=_installed(parts["installed"], parts["sums"]),
        status=json.loads(parts["status"]) if parts["status"].strip() else None,
        generation=generation(parts["generation"]),
    )


def fetching(number: int) -> str:
    """A script that prints one generation, for `generation`; nothing where there is no such."""
    folder = f"{_GENERATIONS}/{number}"
    return f"[ ! -e {folder}/{MANIFEST} ] || tar -cz -C {folder} . | base64"


def generation(packed: str) -> Generation | None:
    """The files of one, as `tar` packed them; None where there is none."""
    if not packed.strip():
        return None
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed)), mode="r:gz") as tar:
        files = {
            str(PurePosixPath(member.name)): content.read()
            for member in tar.getmembers()
            if (content := tar.extractfile(member))
        }
    return Generation(parse_manifest(files[MANIFEST].decode(), MANIFEST), files)


def _cgroups(text: str) -> dict[int, str]:
    """/proc/PID/cgroup by process."""
    rows = re.split(r"^pid *(\d+)$", text, flags=re.MULTILINE)
    return {int(pid): lines.strip("\n") for pid, lines in zip(rows[1::2], rows[2::2], strict=True)}


def _cards(text: str) -> Iterator[Card]:
    for row in _rows(text, 3):
        if row[0].startswith("GPU-"):
            driver = row[2] if re.fullmatch(r"[\d.]+", row[2]) else None
            yield Card(row[0], int(row[1]) if row[1].isdigit() else None, driver)


def _card_users(text: str, cgroups: Mapping[int, str]) -> Iterator[CardUser]:
    for row in _rows(text, 4):
        if row[0].startswith("GPU-") and row[1].isdigit():
            unit, ours = unit_of(cgroups.get(int(row[1]), ""))
            memory = int(row[3]) if row[3].isdigit() else None
            yield CardUser(row[0], int(row[1]), row[2].rpartition("/")[2], memory, unit, ours)


def _rows(text: str, columns: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        row = [part.strip() for part in line.split(",")]
        if len(row) == columns:
            yield row


def _installed(modes: str, sums: str) -> dict[str, FileSeen]:
    """As `labctl.transaction.disk.installed` finds them on the host itself."""
    digests = {line[66:]: line[:64] for line in sums.splitlines() if line}
    found = {}
    for line in modes.splitlines():
        mode, _, path = line.partition(" ")
        for tree, place in TREES.items():
            rest = path.removeprefix(f"/{place}/")
            if rest != path and (tree in OURS_ALONE or rest.startswith("labctl-")) and path in digests:
                found[f"{tree}/{rest}"] = FileSeen(digests[path], mode)
    return found
