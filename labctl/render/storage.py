"""Where the data of a container lies: Podman volumes, a person's own folder, the host's folder of models."""

from collections.abc import Iterator
from dataclasses import dataclass

from labctl.render import names
from labctl.render.unit_text import UnitText, word
from labctl.render.values import Asked
from labctl.workloads.container import Container

_MAKE_FOLDER = 'test -d "$$1" || install -d -m "$$2" -o "$$3" -g "$$4" -- "$$1"'
_ROOT = "0:0"


@dataclass(frozen=True)
class Mount:
    """One mount. volume: the stem of its .volume file, or None for the folder of the host in `source`.

    owner: whom a new one belongs to, "uid:gid"; None where nobody knows.
    """

    source: str
    at: str
    volume: str | None = None
    owner: str | None = None
    read_only: bool = False

    @property
    def text(self) -> str:
        """As Quadlet's key Volume has it."""
        source = f"{self.volume}.volume" if self.volume else self.source
        return f"{source}:{self.at}{':ro' if self.read_only else ''}"


def mounts(asked: Asked, container: Container) -> tuple[Mount, ...]:
    """Of one container; a workload's own volumes go to the first."""
    found = []
    for each in container.volumes:
        if each.keeps == "models":
            found.append(Mount(asked.facts.models_folder, each.at, read_only=True))
        else:
            in_folder = each.name in asked.service.data_volumes
            found.append(_mount(asked, each.name, each.at, each.owner, in_folder=in_folder))
    if container is asked.service.first:
        for name, at in sorted(asked.planned.volumes.items()):
            found.append(_mount(asked, name, at, None, in_folder=True))
    return tuple(found)


def _mount(asked: Asked, name: str, at: str, owner: str | None, *, in_folder: bool) -> Mount:
    if in_folder and asked.planned.data:
        return Mount(f"{asked.planned.data}/{name}", at, owner=owner)
    return Mount(names.volume(asked.name, name), at, names.volume_stem(asked.name, name), owner)


def folders(found: tuple[Mount, ...]) -> Iterator[str]:
    """Commands that make the host's folders that are not there; one that is there is left as it is."""
    for mount in {each.source: each for each in found if each.volume is None}.values():
        user, _, group = (mount.owner or _ROOT).partition(":")
        mode = "755" if mount.read_only or mount.owner is None else "750"
        arguments = " ".join(word(each) for each in (mount.source, mode, user, group))
        yield f"/usr/bin/sh -c '{_MAKE_FOLDER}' sh {arguments}"


def volume_text(asked: Asked, mount: Mount, header: tuple[str, ...]) -> str:
    """A .volume file. A volume that is there stays as it is; nothing here ever removes one."""
    text = UnitText(asked.facts.podman)
    text.say("Unit", "Description", f"volume {mount.source}, placed by labctl")
    text.say("Volume", "VolumeName", mount.source)
    text.say("Volume", "Label", f"labctl.workload={asked.name}")
    if mount.owner:
        user, _, group = mount.owner.partition(":")
        text.say("Volume", "User", user)
        text.say("Volume", "Group", group)
    return text.text(header)
