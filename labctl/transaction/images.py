"""Images that are not here yet, pulled while everything still runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from labctl.errors import Failed
from labctl.transaction.manifest import Image
from labctl.transaction.programs import Programs
from labctl.transaction.report import Report

_PULL_SECONDS = 4 * 3600
"""30 GiB at 2 MiB/s; a line that is slower than that wants an image that was brought by hand."""
_MIB = 1024 * 1024
_UNPACKED = 2.5
"""What an image takes on disk against its download, and the download beside it while it is unpacked: layers are
compressed to about half; NVIDIA's CUDA images to 0.45 (docs of their catalogue give both sizes)."""
_RESERVE_MIB, _RESERVE_PART = 2048, 20
"""What is left for everything else: 2 GiB, of a small disk a twentieth; as `labctl.model_store` leaves it."""


def pull(images: Iterable[Image], programs: Programs, report: Report) -> None:
    """Pull what is missing, with a line every few seconds. Raises Failed; what was there before is not touched.

    An image of which nobody knows the size is ended when it leaves others too little room.
    """
    missing = [image for image in images if not _is_here(image, programs)]
    if not missing:
        return
    storage = _storage(programs)
    wanted_mib = int(sum((image.download_mib or 0) * _UNPACKED for image in missing)) + _reserve_mib(storage)
    if wanted_mib > _free_mib(storage):
        raise Failed(
            "no room for the images",
            where=str(storage),
            found=f"{_free_mib(storage)} MiB free",
            expected=f"{wanted_mib} MiB",
            hint="podman image prune --all removes images that no container uses",
        )
    for number, image in enumerate(missing, 1):
        _pull(image, f"pull {number}/{len(missing)}", storage, programs, report)


def _is_here(image: Image, programs: Programs) -> bool:
    """1 is Podman's no (podman-image-exists(1)); of anything else it knows nothing, and a pull would hide why."""
    command = ["podman", "image", "exists", image.name]
    done = programs.run(command)
    if "unsupported transport" in done.stderr:
        return (
            False  # its name is a place to fetch it from, `oci-archive:…`, which is never one of what is here
        )
    if done.status not in (0, 1):
        raise Failed(
            "Podman does not answer",
            where=" ".join(command),
            found=done.said,
            hint="the same command on the host says more; a disk or machine that is busy answers later",
        )
    return done.status == 0


def _pull(image: Image, words: str, storage: Path, programs: Programs, report: Report) -> None:
    size = f" ({image.download_mib} MiB)" if image.download_mib is not None else ""
    report.line(f"{words}: {image.name}{size}")
    before, started = _free_mib(storage), programs.seconds()

    def tick() -> None:
        free = _free_mib(storage)
        report.line(f"{words}: {max(0, before - free)} MiB written, {free} MiB free")
        if free < _reserve_mib(storage) // 2:
            raise Failed(
                "no room for the image",
                where=image.name,
                found=f"{free} MiB free on {storage}, and it is not all here",
                hint="podman image prune --all removes images that no container uses",
            )

    # By one name at a time: what Podman says then is of this one.
    done = programs.run(
        ["podman", "pull", "--quiet", "--", image.name], timeout_s=_PULL_SECONDS, on_tick=tick
    )
    if done.status:
        raise _refused(image, done.said, done.stderr, storage)
    report.line(f"{words}: done in {programs.seconds() - started:.0f} s")


def _refused(image: Image, said: str, all_said: str, storage: Path) -> Failed:
    hints = {
        "no space left": f"make room on {storage}: podman image prune --all",
        "manifest unknown": "the registry has no such tag: correct `image` in the workloads file",
        "not found": "the registry has no such image: correct `image` in the workloads file",
        "unauthorized": "log in to this registry: podman.logins in the inventory",
        "denied": "it does not exist, or wants a login: podman.logins in the inventory",
        "no such host": "does this host resolve names? try: resolvectl query REGISTRY",
    }
    hint = next(
        (hint for words, hint in hints.items() if words in all_said.lower()), "is the registry reachable?"
    )
    return Failed("the image cannot be pulled", where=image.name, found=said[:300], hint=hint)


def _storage(programs: Programs) -> Path:
    done = programs.run(["podman", "info", "--format", "{{.Store.GraphRoot}}"])
    if done.status:
        raise Failed("Podman does not answer", where="podman info", found=done.said)
    return Path(done.stdout.strip())


def _reserve_mib(folder: Path) -> int:
    about = os.statvfs(folder)
    return min(_RESERVE_MIB, about.f_blocks * about.f_frsize // _MIB // _RESERVE_PART)


def _free_mib(folder: Path) -> int:
    about = os.statvfs(folder)
    return about.f_bavail * about.f_frsize // _MIB
