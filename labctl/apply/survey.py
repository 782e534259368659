"""What a host answers to `labctl.apply.survey_script`, as a value."""

import base64
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from labctl.apply.foreign import Container, Listener, containers, listeners, ours
from labctl.apply.generation import Generation
from labctl.apply.survey_script import CARD_SERVICES, GENERATIONS
from labctl.errors import Failed
from labctl.rig.host_report import sections
from labctl.rig.reported import unit_of
from labctl.transaction.decision import FileSeen
from labctl.transaction.layout import OURS_ALONE, TREES
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import parse as parse_manifest


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
            for unit, state in zip(CARD_SERVICES, parts["card-services"].split(), strict=False)
            if state == "active"
        ),
        up=frozenset(line.split()[0] for line in parts["units"].splitlines() if line.strip()),
        installed=_installed(parts["installed"], parts["sums"]),
        status=json.loads(parts["status"]) if parts["status"].strip() else None,
        generation=generation(parts["generation"]),
    )


def fetching(number: int) -> str:
    """A script that prints one generation, for `generation`; nothing where there is no such."""
    folder = f"{GENERATIONS}/{number}"
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
