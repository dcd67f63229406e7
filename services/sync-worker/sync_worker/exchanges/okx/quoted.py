"""The prices that follow from OKX's own valuation of the trading account's rows. Pure."""

from collections.abc import Iterable
from decimal import Context, Decimal

from sync_worker.exchanges.rows import Row

DIGITS = Context(prec=12)
# A price outside these bounds is absurd, and no message could carry its digits.
LEAST, MOST = Decimal("1e-27"), Decimal("1e27")
# OKX does not document how it rounds `eqUsd`: a smaller worth with fewer digits may be mostly rounding.
ROUNDED_BELOW, EXACT_DIGITS = Decimal(1), 5


def quoted_prices(rows: Iterable[Row]) -> dict[str, Decimal]:
    """Return the price of one unit by asset, rounded once to 12 digits, where `eqUsd` shows one."""
    prices = ((row.asset, _price(row.balance.total, row.usd)) for row in rows)
    return {asset: price for asset, price in prices if price is not None}


def _price(total: Decimal, usd: Decimal | None) -> Decimal | None:
    """Return the price of one unit; None if the worth is missing, zero, of the other sign or too coarse."""
    if not total or usd is None or (abs(usd) < ROUNDED_BELOW and _digits(usd) < EXACT_DIGITS):
        return None
    price = DIGITS.divide(usd, total)
    return price if LEAST < price < MOST else None


def _digits(usd: Decimal) -> int:
    """Return the number of digits that say something: zeros at the end may only fill a fixed form."""
    return len("".join(map(str, usd.as_tuple().digits)).rstrip("0"))
