"""Files of a person's without which a service does not start: where they lie on the host, and the look before a job.

A job's unit conflicts with what steps aside for it, and systemd stops that before it looks at any condition of the
job's own. So the timer starts a unit that looks for the files first, and that one starts the job.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.plan.plan import PlannedWorkload
from labctl.render import names
from labctl.render.unit_text import UnitText, literal, words
from labctl.render.values import Asked
from labctl.workloads.service import NeededFile, Service

# Of Podman's volumes as root, unless its storage.conf says otherwise: containers-storage.conf(5), graphroot.
_VOLUMES = "/var/lib/containers/storage/volumes"
_NOT_THERE = "is not there: nothing starts, and nothing steps aside for it"


@dataclass(frozen=True)
class FileOnHost:
    """workload: who needs it. path: on the host."""

    workload: str
    path: str
    what: str


def on_host(workload: str, planned: PlannedWorkload, service: Service) -> Iterator[FileOnHost]:
    """Each of a workload's."""
    for each in service.needs_files:
        yield FileOnHost(workload, path_of(workload, each, service, planned.data), each.what)


def path_of(workload: str, needed: NeededFile, service: Service, data: str | None) -> str:
    """Where it lies on the host. data: the workload's own folder for its state; None for Podman's volumes."""
    if data and needed.volume in service.data_volumes:
        return f"{data}/{needed.volume}/{needed.path}"
    return f"{_VOLUMES}/{names.volume(workload, needed.volume)}/_data/{needed.path}"


def is_looked_for(asked: Asked) -> bool:
    """Whether there is a look before it starts at its time."""
    return asked.planned.when is not None and bool(asked.service.needs_files)


def look_path(asked: Asked) -> str:
    """The unit's file among those of a stage."""
    return f"systemd/{names.look(asked.name)}"


def look_text(asked: Asked, header: tuple[str, ...]) -> str:
    """A plain systemd unit: it fails, with the file's path in its journal, or starts the job."""
    text = UnitText(asked.facts.podman)
    text.say("Unit", "Description", f"{asked.name} if its files are there, placed by labctl")
    text.say("Service", "Type", "oneshot")
    for each in asked.service.needs_files:
        text.say("Service", "ExecStart", _look(asked, each))
    text.say(
        "Service", "ExecStart", f"/usr/bin/systemctl start --no-block {names.unit(names.stem(asked.name))}"
    )
    return text.text(header)


def _look(asked: Asked, needed: NeededFile) -> str:
    """Podman is asked where its volume is: a guess that is wrong on one host would keep the job from ever running."""
    if asked.planned.data and needed.volume in asked.service.data_volumes:
        folder, place = 'f="$1/$2"', f"{asked.planned.data}/{needed.volume}"
    else:
        folder = 'f=$(podman volume inspect --format {{.Mountpoint}} "$1") || exit; f="$f/$2"'
        place = names.volume(asked.name, needed.volume)
    script = f'{folder}; test -e "$f" || {{ echo "$f {_NOT_THERE}" >&2; exit 1; }}'
    return f"/usr/bin/sh -c '{literal(script)}' sh {words((place, needed.path))}"
