"""The examples of a portfolio add up, as every response does."""

import json
from decimal import Decimal, localcontext
from typing import Any

import pytest

from gateway.http.examples import FILE

EXAMPLES: dict[str, Any] = json.loads(FILE.read_text())


@pytest.mark.parametrize("name", EXAMPLES["PortfolioView"])
def test_the_example_of_a_portfolio_adds_up(name: str) -> None:
    """Assets, accounts and wallets each sum to the total; a value is the quantity times the price."""
    of = EXAMPLES["PortfolioView"][name]
    rate = Decimal(of["rate"]["per_usd"]) if of["rate"] else Decimal(1)
    with localcontext(prec=200):
        for asset in of["assets"]:
            price, quantity = asset["price"]["value_usd"], Decimal(asset["quantity"])
            assert quantity == sum(Decimal(part["quantity"]) for part in asset["parts"])
            assert asset["value_usd"] == (None if price is None else str(quantity * Decimal(price)))
        sums = [
            sum(Decimal(each[field] or 0) for each in of[parts])
            for parts, field in (("assets", "value"), ("accounts", "total"), ("wallets", "total"))
        ]
        assert {*sums} == {Decimal(of["total"])} == {Decimal(of["total_usd"]) * rate}


def test_the_example_of_holdings_is_priced() -> None:
    """Each value is the total times the price."""
    for holding in EXAMPLES["HoldingsView"]["complete"]["holdings"]:
        with localcontext(prec=200):
            value = Decimal(holding["total"]) * Decimal(holding["price"]["value_usd"])
        assert Decimal(holding["value_usd"]) == value
