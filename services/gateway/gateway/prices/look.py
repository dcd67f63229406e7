"""All that is known of the price of an asset, for a user."""

import re
from datetime import datetime
from uuid import UUID

from contracts.prices import USD
from contracts.values import check_digits, parse_amount
from gateway.errors import InvalidInput, NoSuchPrice, TooManyPrices
from gateway.portfolio.prices import UNKNOWN
from gateway.portfolio.quoted import by_exchange, newest
from gateway.portfolio.shown_prices import Seen, Shown, alternatives, by_hand, disputed, first_of, shown
from gateway.prices.book import UNIT
from gateway.prices.readings import Reading, Readings
from gateway.rows.prices import Manual
from gateway.store import prices
from gateway.store.pool import Pool
from gateway.store.quoted import find_quoted

NOT_USD = "1 USD is worth 1 USD: set the price of another asset."
ASSET = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
MAX_MANUAL = 1000
BAD_PRICE = (
    "The price must be a decimal number above 0 with at most 40 digits, in USD for one unit of the asset, "
    "such as 0.25."
)


async def look(pool: Pool, readings: Readings, user_id: UUID, asset: str) -> Seen:
    """Return the price of an asset; raises NoSuchPrice, DatabaseUnavailable."""
    if not ASSET.fullmatch(asset):
        raise NoSuchPrice
    if asset == USD:
        return Seen(asset, UNIT, None, is_disputed=False, others=())
    last, now = await readings.last()
    async with pool.transaction() as connection:
        manual = await prices.find_manual(connection, user_id, asset)
        quoted = (await find_quoted(connection, [user_id])).get(user_id, ())
    return _seen(asset, last, (manual, by_exchange(newest(quoted, now).get(asset), now)), now)


async def set_by_hand(pool: Pool, user_id: UUID, asset: str, text: str, most: int = MAX_MANUAL) -> None:
    """Set a user's own price of an asset, one of `most`.

    Raises InvalidInput, NoSuchPrice, TooManyPrices.
    """
    try:
        value = parse_amount(text)
        check_digits(value)
    except ValueError:
        raise InvalidInput(BAD_PRICE) from None
    if value <= 0:
        raise InvalidInput(BAD_PRICE)
    if not ASSET.fullmatch(asset):
        raise NoSuchPrice
    if asset == USD:
        raise InvalidInput(NOT_USD)
    async with pool.transaction() as connection:
        if not await prices.set_manual(connection, user_id, asset, value, most):
            raise TooManyPrices


async def delete_by_hand(pool: Pool, user_id: UUID, asset: str) -> None:
    """Delete a user's own price of an asset; raises NoSuchPrice if there is none."""
    async with pool.transaction() as connection:
        if not await prices.delete_manual(connection, user_id, asset):
            raise NoSuchPrice


def _seen(asset: str, last: list[Reading], own: tuple[Manual | None, Shown | None], now: datetime) -> Seen:
    """Return the price that counts: the user's own, else the market's, else the exchange's valuation."""
    manual, quoted = own
    holding = [each for each in last if asset in each.known or each.market.index(asset) is not None]
    of_market = [shown(asset, each.known.get(asset, UNKNOWN), each.market, now) for each in holding]
    best = first_of(of_market)
    if quoted is not None and (best is None or best.value is None):
        best = quoted
    others = [each for each in of_market if each is not best]
    for each in holding:
        others += alternatives(asset, each.known, each.market, now)
    if manual is not None:
        others = [*([best] if best is not None else []), *others]
        best = by_hand(manual, now)
    if best is None:
        raise NoSuchPrice
    index = next((each.market.index(asset) for each in holding), None)
    return Seen(asset, best, index, disputed(best.value, index, now), tuple(others))
