"""What a card's model is called, by the driver's name for it."""

from __future__ import annotations

from labctl.edges import catalog
from labctl.rig.gpu import plain_name
from labctl.rig.unlisted import identify


def model_names(name: str, memory_mib: int | None) -> tuple[str, tuple[str, ...]]:
    """The catalogue's name of a card, made of the driver's where it has none; and what else people call it."""
    gpu = identify(name, memory_mib, None, catalog.gpus())
    model = gpu.name if gpu else "-".join(plain_name(name).split()) or "unknown"
    return model, (name, *((gpu.title, *gpu.aliases) if gpu else ()))
