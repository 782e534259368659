"""Which image last ran on data that moves one way with it.

Kept beside the generations and for good: a service may be away for many of them, and its data stays.
"""

from __future__ import annotations

import json

from labctl.transaction.disk import Disk, record
from labctl.transaction.layout import Layout
from labctl.transaction.manifest import Manifest


def last_images(layout: Layout, in_force: Manifest | None) -> dict[str, str]:
    """By unit; of what runs now its own. Raises Failed where the file is damaged."""
    return {**_kept(layout), **_of(in_force)}


def keep(layout: Layout, disk: Disk, in_force: Manifest | None) -> None:
    """Note the images of a generation before it is left. What is in force is true, however the next one ends."""
    images = last_images(layout, in_force)
    if images != _kept(layout):
        disk.write(layout.data_images, (json.dumps(images, indent=1, sort_keys=True) + "\n").encode(), 0o600)


def _kept(layout: Layout) -> dict[str, str]:
    path = layout.data_images
    if not path.is_file():
        return {}
    hint = "it says which version each service's data is of; write it anew, or remove it and be careful"
    return {unit: str(image) for unit, image in record(path, hint).items()}


def _of(manifest: Manifest | None) -> dict[str, str]:
    units = manifest.units if manifest else ()
    return {unit.unit: unit.image for unit in units if unit.migrates and unit.image}
