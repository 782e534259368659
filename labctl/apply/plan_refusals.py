"""What a plan's workloads ask for and a host does not give: devices that are not there, and who they are reached by."""

from collections.abc import Collection, Iterable, Iterator

from labctl.apply.survey import Seen
from labctl.errors import AnswerIsNo, LabctlError
from labctl.plan.plan import Plan
from labctl.render.needed_files import FileOnHost
from labctl.render.render import Rendered

_SHOWN = 4


def of_devices(plan: Plan, host: str, seen: Seen, starting: Collection[str]) -> Iterator[LabctlError]:
    """Devices of the host that are to be opened and are not there. starting: workloads that open theirs now."""
    for name, planned in sorted(plan.workloads.items()):
        if planned.host != host or name not in starting:
            continue
        for device in planned.devices:
            path = device.partition(":")[0]
            if path.startswith("/dev/") and path not in seen.devices:
                yield AnswerIsNo(
                    "a device that it opens is not there",
                    where=f"{name}, {path}",
                    found=_alike(path, seen.devices),
                    hint=f"plug it in, or mend `devices` of {name} in the workloads file and place again",
                )


def _alike(path: str, there: Collection[str]) -> str:
    """Those of its kind, by which a person finds the one that is meant."""
    folder, _, name = path.rpartition("/")
    kind = f"{folder}/{name.rstrip('0123456789')}"
    known = ("/dev/ttyUSB", "/dev/ttyACM", "/dev/serial/by-id/")
    found = sorted(each for each in there if each.startswith((kind, *(known if kind in known else ()))))
    return ", ".join(found[:_SHOWN]) or f"no {kind}…"


def notes(plan: Plan, host: str, absent: Iterable[FileOnHost] = ()) -> Iterator[str]:
    """`expose` opens nothing yet: a person who counts on it has to know. absent: files that a person is to bring."""
    for each in absent:
        yield f"{each.workload} does not start before you put {each.path} on {host}: {each.what}"
    exposed = [
        f"{name} ({planned.expose})"
        for name, planned in sorted(plan.workloads.items())
        if planned.host == host and planned.expose != "no"
    ]
    if exposed:
        yield (
            f"`expose` of {', '.join(exposed)} opens nothing yet: all ports are on 127.0.0.1 of the host. "
            f"From elsewhere: ssh -L PORT:127.0.0.1:PORT, or a proxy of your own"
        )


def held_back(rendered: Rendered) -> Iterator[str]:
    """A person who counts on the catalogue's version has to know, too."""
    images = {unit.name: unit.image or "" for unit in rendered.manifest.units}
    for name, image in rendered.held_back.items():
        yield (
            f"{name} stays on {_version(images[name])}, which its data is of. The catalogue has {_version(image)}; "
            f"labctl update does not move services yet"
        )


def _version(image: str) -> str:
    """Without the digest: it is longer than a line, and says a person nothing."""
    return image.partition("@")[0]
