"""Prices follow from OKX's own valuation of a row only where it shows one."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import Balance
from sync_worker.exchanges.okx.quoted import quoted_prices
from sync_worker.exchanges.rows import Row
from tests.sync_worker.exchanges.okx.answers import BTC, account, judged, trading

AMOUNTS = st.decimals("1e-12", "1e15", places=18).filter(bool)


def price(total: str, usd: str | None) -> str | None:
    """Return the price that a row shows, as text."""
    worth = None if usd is None else Decimal(usd)
    found = quoted_prices([Row(Balance("X", Decimal(total)), worth)])
    return format(found["X"], "f") if found else None


@pytest.mark.parametrize(
    ("total", "usd", "expected"),
    [
        ("1.5", "96000", "64000"),
        ("3", "1", "0.333333333333"),
        ("-2", "-1", "0.5"),
        ("0.0000001", "0.012345", "123450"),
        ("4", "0.5", None),
        ("4", "0.50000000", None),
        ("2", "0", None),
        ("2", "-1", None),
        ("-2", "1", None),
        ("0", "1", None),
        ("2", None, None),
        ("1e-39", "1", None),
        ("1e39", "1", None),
    ],
    ids=[
        *(
            "plain",
            "rounded once to 12 digits",
            "a debt",
            "small and exact",
            "small and coarse",
            "coarse with zeros",
            "zero",
        ),
        *("negative worth", "negative amount", "no amount", "no worth", "absurdly high", "absurdly low"),
    ],
)
def test_a_price_is_the_worth_of_one_unit(total: str, usd: str | None, expected: str | None) -> None:
    """A worth that is missing, zero, of the other sign, too coarse or absurd shows none."""
    assert price(total, usd) == expected


@given(AMOUNTS, st.decimals("1", "1e15", places=10))
def test_a_price_gives_the_worth_back_to_twelve_digits(total: Decimal, usd: Decimal) -> None:
    """No float is on the way, and the price is rounded once."""
    found = quoted_prices([Row(Balance("X", total), usd)])

    if found:
        error = abs(Fraction(found["X"]) * Fraction(total) - Fraction(usd))
        assert error <= Fraction(usd) / 10**11


def test_only_the_trading_list_that_was_read_shows_prices() -> None:
    """A row without a readable worth shows none, and the price of another row is not its."""
    read = judged(account(BTC, BTC | {"ccy": "OLDT", "eq": "100", "cashBal": "100", "eqUsd": ""}))

    assert read.prices == {"BTC": Decimal(64000)}
    assert trading(BTC | {"eqUsd": "x"}, BTC | {"ccy": "ETH"}).quoted.keys() == {"ETH"}
