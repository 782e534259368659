"""What cards cost, in one currency: amounts of two are never compared, as every rate would be a guess."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from labctl.errors import BadInput
from labctl.rig.gpu import Gpu, Price

# Most of the catalogue's prices are in it.
USUAL_CURRENCY = "USD"
_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP"}
_MONEY = re.compile(r"([$€£]?)(\d{1,9}(?:\.\d{1,2})?) ?([A-Za-z]{3}|[$€£])?")
GIVEN = "as given"


@dataclass(frozen=True)
class Money:
    """An amount. currency: ISO 4217; None where the person did not say."""

    amount: float
    currency: str | None

    def __str__(self) -> str:
        amount = f"{self.amount:.2f}".removesuffix(".00")
        return f"{amount} {self.currency}" if self.currency else amount


def money(text: str) -> Money:
    """`800`, `800USD`, `800 eur`, `$800` or `800€`. Raises BadInput for anything else, and for nothing."""
    found = _MONEY.fullmatch(text.strip())
    if found is None or (found[1] and found[3]) or float(found[2]) <= 0:
        raise BadInput("not an amount of money", found=text, expected="AMOUNT or AMOUNTCURRENCY, as 800USD")
    sign = found[1] or found[3] or ""
    return Money(float(found[2]), _SIGNS.get(sign, sign.upper() or None))


@dataclass(frozen=True)
class Market:
    """What a card costs today. given: by the person, by the card's name; they go before the catalogue's.

    budget: for all that is bought, in `currency`; None for none.
    """

    currency: str = USUAL_CURRENCY
    given: Mapping[str, float] = field(default_factory=dict)
    budget: float | None = None

    def price(self, gpu: Gpu) -> Price | None:
        """Of one card, in the market's currency; None where nobody gives one."""
        if gpu.name in self.given:
            return Price(self.given[gpu.name], self.currency, GIVEN)
        return price_in(gpu, self.currency)


def price_in(gpu: Gpu, currency: str) -> Price | None:
    """The catalogue's price of a card in a currency; None where it has none."""
    return next((price for price in gpu.prices if price.currency == currency), None)


def market(budget: Money | None, given: Mapping[str, Money]) -> Market:
    """One currency for all: the one that was named, else the catalogue's usual. Raises BadInput for two."""
    named = [each.currency for each in (budget, *given.values()) if each is not None and each.currency]
    if len(set(named)) > 1:
        raise BadInput(
            "amounts in more than one currency cannot be compared",
            found=", ".join(sorted(set(named))),
            hint="give all of them in one",
        )
    return Market(
        named[0] if named else USUAL_CURRENCY,
        {name: each.amount for name, each in given.items()},
        budget.amount if budget else None,
    )
