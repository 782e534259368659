"""What moves, in which order, and what stands in the way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from labctl.driver import obstacles
from labctl.driver.host import DriverHost, branch_of, is_driver_package, is_module_package
from labctl.errors import Failed
from roles.host_update.archives import Move, Offer

# A kernel with its modules and initramfs is 150 MiB, its headers 60; the driver's packages unpack to 1 GiB.
_ROOM_MIB = 1500
# Its debug symbols are called the same, with -dbg.
_IMAGE = re.compile(r"linux-image-(?:unsigned-)?(\d\S*?)(?<!-dbg)")


@dataclass(frozen=True)
class Plan:
    """One run.

    kernels: releases that a module must be there for. first: the driver and all that is new, which can be taken out
    again; then: what follows the kernel by its name alone, as linux-image-amd64. trial: what a module is built of and
    with.
    """

    moves: tuple[Move, ...]
    kernels: tuple[str, ...]
    first: tuple[Move, ...]
    then: tuple[Move, ...]
    trial: tuple[Move, ...]

    def words(self, boots: str) -> str:
        """For a phone; boots: the release that would boot if nothing were done."""
        said = []
        if images := [release for move in self.moves if (release := image_release(move.name))]:
            new = images[-1]
            said.append(f"kernel {boots} → {new}" if new != boots else f"kernel {new} of {_of(self, new)}")
        driver = (each for each in self.moves if _is_driver(each.name) and branch_of(each.old or ""))
        if module := next(driver, None):
            said.append(f"driver {_upstream(module.old or '')} → {_upstream(module.new)}")
        names = [each.name for each in self.moves]
        count = f"{len(names)} packages" if len(names) > 1 else "1 package"
        said.append(count if said else f"{count}: {', '.join(names)}")
        return ", ".join(said)


def plan(offer: Offer, host: DriverHost) -> Plan | None:
    """The run; None where there is nothing to move. Raises Failed where moving would cost a host its driver."""
    if not offer.moves:
        return None
    for problem in _obstacles(offer, host):
        raise problem
    releases = [release for move in offer.moves if (release := image_release(move.name))]
    first = tuple(
        each
        for each in offer.moves
        if each.old is None or each.name in offer.driver or is_module_package(each.name)
    )
    building = offer.builds and (releases or any(_is_driver(each.name) for each in offer.moves))
    return Plan(
        moves=offer.moves,
        kernels=tuple(dict.fromkeys(releases)) or (host.next_boot.release,),
        first=first,
        then=tuple(each for each in offer.moves if each not in first),
        trial=tuple(each for each in offer.moves if _to_build_with(each.name)) if building else (),
    )


def image_release(name: str) -> str | None:
    """`6.12.107+deb13-amd64` of the package with that kernel; None for any other."""
    found = _IMAGE.fullmatch(name)
    return found[1] if found else None


def _obstacles(offer: Offer, host: DriverHost) -> Iterator[Failed]:
    moved = {each.name for each in offer.moves}
    if held := sorted(moved.intersection(offer.kept)):
        yield Failed(
            f"apt holds {', '.join(held)}, and kernel and driver move together or not at all",
            hint=f"if it may move: `sudo apt-mark unhold {' '.join(held)}`",
        )
    if offer.removed:
        yield Failed(
            f"apt would remove {', '.join(offer.removed[:5])}",
            hint="`sudo apt-get -s full-upgrade` on the host says why; nothing was changed",
        )
    for each in offer.moves:
        if _is_driver(each.name) and each.old and _leaves_its_branch(each.old, each.new):
            yield Failed(
                f"{each.name} would leave its branch: {_upstream(each.old)} → {_upstream(each.new)}",
                hint="`labctl deploy` pins the branch that nvidia_driver asks for, and changes it",
            )
    yield from _without_module(offer, host)
    for obstacle in (*obstacles.of_disk(host, _ROOM_MIB), *obstacles.of_boot(host)):
        yield Failed(obstacle.message, hint=obstacle.way_out)


def _without_module(offer: Offer, host: DriverHost) -> Iterator[Failed]:
    """New kernels that the driver cannot be had for: ready-made ones come days after the kernel."""
    ready_made = any(
        each.name.startswith("linux-modules-nvidia-") and each.name.endswith(f"-{host.next_boot.release}")
        for each in host.packages
    )
    names = {each.name for each in offer.moves} | {each.name for each in host.packages}
    for each in offer.moves:
        release = image_release(each.name)
        if release and ready_made and not any(
            name.startswith("linux-modules-nvidia-") and name.endswith(f"-{release}") for name in names
        ):  # fmt: skip
            yield Failed(
                f"there is no ready-made module of the driver for {release} yet",
                hint="nothing was moved; they come some days after the kernel: try again then",
            )


def _is_driver(name: str) -> bool:
    return (is_module_package(name) or is_driver_package(name)) and not name.startswith(
        ("linux-", "nvidia-driver-pinning-")
    )


def _to_build_with(name: str) -> bool:
    """Headers, compilers and the driver's sources; not a kernel, nor the driver's libraries, which are a GiB."""
    if image_release(name) or name.startswith("linux-modules-") or "firmware" in name:
        return False
    return not _is_driver(name) or any(word in name for word in ("dkms", "kernel", "source"))


def _upstream(version: str) -> str:
    return version.rpartition(":")[2].partition("-")[0]


def _leaves_its_branch(old: str, new: str) -> bool:
    """Not so for nvidia-kernel-common and other packages whose versions are no driver's."""
    return branch_of(old) is not None and branch_of(old) != branch_of(new)


def _of(made: Plan, release: str) -> str:
    return next(each.new for each in made.moves if image_release(each.name) == release)
