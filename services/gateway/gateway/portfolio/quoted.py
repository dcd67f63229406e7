"""Prices by which an exchange values what an account holds, for assets of which no market is known. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from contracts.exchanges.types import Exchange
from contracts.syncs import READ, TotalCheck, WalletRead
from gateway.portfolio.markets import AHEAD
from gateway.portfolio.prices import FRESH, PRICED_FOR
from gateway.portfolio.shown_prices import NO_TIME, Shown
from gateway.rows.prices import Method, PriceCode
from gateway.rows.uncovered import QuotedList


class Quoted(msgspec.Struct, frozen=True):
    """The price of an asset in USD for one unit, as an exchange valued a list of `as_of`."""

    price: Decimal
    exchange: str
    as_of: datetime


def credible(exchange: Exchange, read: WalletRead) -> dict[str, Decimal]:
    """Return the prices of a wallet that was read that can be prices of assets.

    A list that contradicts a total of the exchange prices nothing: its valuations may be the wrong part, and
    they would count in wallets and accounts that nothing doubts.
    """
    if read.verdict not in READ or read.total_check is TotalCheck.DISAGREES:
        return {}
    return {asset: price for asset, price in read.prices.items() if price > 0 and exchange.names_asset(asset)}


def newest(lists: Iterable[QuotedList], now: datetime) -> Mapping[str, Quoted]:
    """Return the price of each asset in the newest list that has one; of equal times, one by its ids.

    A list of the future does not count: its clock was set back since then, and its true age is unknown.
    """
    found: dict[str, Quoted] = {}
    known = (each for each in lists if each.as_of <= now + AHEAD)
    for each in sorted(known, key=lambda one: (one.as_of, one.account_id, one.wallet)):
        found |= {
            asset: Quoted(price, each.exchange, each.as_of)
            for asset, price in each.prices.items()
            if price > 0
        }
    return found


def by_exchange(quoted: Quoted | None, now: datetime) -> Shown | None:
    """Return the price as of now: the last known one after 15 minutes, and none after a day."""
    if quoted is None or now - quoted.as_of > PRICED_FOR:
        return None
    age = max(now - quoted.as_of, NO_TIME)
    is_old = age > FRESH
    return Shown(
        quoted.price,
        Method.LAST_KNOWN if is_old else Method.EXCHANGE_VALUED,
        quoted.exchange,
        PriceCode.LAST_KNOWN if is_old else None,
        observed_at=quoted.as_of,
        age=age,
    )
