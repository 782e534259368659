"""Cards for the tests of limits and budgets."""

from labctl.edges import catalog
from labctl.power.card import PoweredCard


def card(
    name: str = "rtx-3090",
    number: int = 0,
    default: int | None = 350,
    least: int | None = 100,
    most: int | None = 375,
) -> PoweredCard:
    """A card with a UUID of that number."""
    return PoweredCard(
        f"GPU-{number:08d}", name, default, least, most, catalog.power_curve(name), (catalog.gpu(name).title,)
    )
