"""What a card holds by part, in whole MiB: what people and documents are shown."""

from typing import get_args

from labctl.estimate.claim import MIB, Part, PlaceEstimate

# Of a card; prompt caches are on the host.
CARD_PARTS: tuple[Part, ...] = tuple(part for part in get_args(Part) if part != "prompt_cache")


def card_parts(card: PlaceEstimate) -> dict[Part, int]:
    """Whole MiB, cut off as llama.cpp's own account is.

    A measurement may take more off than pools and copies have; the rest is off the compute buffers.
    """
    found = {part: card.of(part) for part in CARD_PARTS}
    found["compute"] += min(found["scratch"], 0)
    found["scratch"] = max(found["scratch"], 0)
    return {part: n_bytes // MIB for part, n_bytes in found.items()}
