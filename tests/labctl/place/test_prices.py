"""Money as people write it, and prices that are never compared across currencies."""

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.place.prices import Market, Money, market, money, price_in

RTX_3090 = catalog.gpu("rtx-3090")


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("800", 800, None), ("800USD", 800, "USD"), ("800 eur", 800, "EUR"), ("$800", 800, "USD"),
        ("800€", 800, "EUR"), ("£799.99", 799.99, "GBP"), (" 1250 GBP ", 1250, "GBP"), ("0.5CHF", 0.5, "CHF"),
    ],
)  # fmt: skip
def test_as_people_write_it(text: str, amount: float, currency: str | None) -> None:
    assert money(text) == Money(amount, currency)


@pytest.mark.parametrize(
    "text",
    ["", "much", "-5", "0", "0.00USD", "$800USD", "800 dollars", "8e2", "1,000", "nan", "9" * 12, "800US"],
)
def test_what_is_no_money(text: str) -> None:
    with pytest.raises(BadInput, match="not an amount of money"):
        money(text)


def test_it_reads_as_it_is() -> None:
    assert [str(Money(800, "USD")), str(Money(799.99, "EUR")), str(Money(12.5, None))] == [
        "800 USD", "799.99 EUR", "12.50",
    ]  # fmt: skip


def test_the_currency_is_the_one_that_was_named() -> None:
    assert market(None, {}) == Market("USD")
    assert market(Money(500, None), {}) == Market("USD", {}, 500)
    assert market(Money(500, None), {"l4": Money(300, "EUR")}) == Market("EUR", {"l4": 300}, 500)
    assert market(Money(500, "GBP"), {"l4": Money(300, None)}) == Market("GBP", {"l4": 300}, 500)
    with pytest.raises(BadInput, match=r"more than one currency.*EUR, USD"):
        market(Money(500, "USD"), {"l4": Money(300, "EUR")})


def test_a_price_is_given_in_its_own_currency_alone() -> None:
    pounds, dollars = price_in(RTX_3090, "GBP"), price_in(RTX_3090, "USD")
    assert pounds is not None
    assert dollars is not None
    assert (pounds.amount, dollars.amount) == (1250, 900)
    assert price_in(RTX_3090, "CHF") is None
    assert Market("CHF").price(RTX_3090) is None


def test_what_the_person_sees_goes_first() -> None:
    given = Market("EUR", {"rtx-3090": 650.0}).price(RTX_3090)
    assert given is not None
    assert (given.amount, given.currency) == (650.0, "EUR")
