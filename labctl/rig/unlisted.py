"""Cards by what a driver says of them: the catalogue's, or one that the catalogue does not know."""

import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from labctl.rig.gpu import Architecture, Gpu, plain_name

# CUDA C++ Programming Guide, Compute Capabilities: the first capability of each architecture.
_ARCHITECTURES: tuple[tuple[tuple[int, int], Architecture], ...] = (
    ((3, 0), "kepler"),
    ((5, 0), "maxwell"),
    ((6, 0), "pascal"),
    ((7, 0), "volta"),
    ((7, 5), "turing"),
    ((8, 0), "ampere"),
    ((8, 9), "ada"),
    ((9, 0), "hopper"),
    ((10, 0), "blackwell"),
)
# One name, several sizes: how far NVML's total may be from the board's memory (ECC takes a sixteenth).
_NEAR = 8


def unlisted(title: str, compute_capability: str, memory_mib: int, *, unified_memory: bool = False) -> Gpu:
    """A card that the catalogue does not know: everything that only a data sheet says is None.

    memory_mib: what its driver counts, of which a driver's own report says what CUDA can use.
    """
    major, minor = compute_capability.split(".")
    at = (int(major), int(minor))
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields(Gpu))
    values |= {
        "name": "-".join(plain_name(title).split()) or "unknown",
        "title": title,
        "aliases": (),
        "architecture": next((name for first, name in reversed(_ARCHITECTURES) if at >= first), "kepler"),
        "compute_capability": compute_capability,
        "memory_mib": memory_mib,
        "cuda_memory_mib": memory_mib,
        "unified_memory": unified_memory,
        "sources": (),
        "prices": (),
        "form_factor": "pcie",
        "gpus_per_board": 1,
    }
    return Gpu(**values)


def is_unlisted(gpu: Gpu) -> bool:
    """Whether `unlisted` made this card."""
    return gpu == unlisted(
        gpu.title, gpu.compute_capability, gpu.memory_mib, unified_memory=gpu.unified_memory
    )


def capability_of(architecture: str | None) -> str | None:
    """The first compute capability of an architecture, by the driver's word for it (`Ada Lovelace`).

    Never more than the card has. None for a word that is not known.
    """
    word = (architecture or "").lower().split()
    found = next((first for first, name in _ARCHITECTURES if word[:1] == [name]), None)
    return f"{found[0]}.{found[1]}" if found else None


def identify(
    title: str, memory_mib: int | None, compute_capability: str | None, catalogue: Iterable[Gpu]
) -> Gpu | None:
    """The catalogue's card of this name and memory; else one made of what the driver tells.

    A driver has one name for cards of two sizes; the catalogue tells them apart by a size in the title, `… 12 GB`.
    memory_mib: None for unified memory. None where neither catalogue nor driver knows the compute capability.
    """
    wanted = _without_size(title)
    named = [
        card
        for card in catalogue
        if any(_without_size(each) == wanted for each in (card.name, card.title, *card.aliases))
    ]
    if memory_mib is None:
        found = next((card for card in named if card.unified_memory), None) or next(iter(named), None)
    else:
        found = min(named, key=lambda card: abs(card.memory_mib - memory_mib), default=None)
        if (
            found
            and not found.unified_memory
            and abs(found.memory_mib - memory_mib) > found.memory_mib // _NEAR
        ):
            # A board of that name with another memory: the chip is the same.
            compute_capability = compute_capability or found.compute_capability
            found = None
    if found or compute_capability is None:
        return found
    return unlisted(title, compute_capability, memory_mib or 0, unified_memory=memory_mib is None)


def _without_size(name: str) -> str:
    return re.sub(r" \d+ ?gb?$", "", plain_name(name))
