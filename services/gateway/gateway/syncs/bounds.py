"""Bounds of the names, numbers and times in outcomes, so that users never see one beyond them. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from contracts.exchanges.types import Exchange
from contracts.syncs import READ, Verdict, WalletRead
from contracts.values import check_digits
from contracts.wire.envelope import Malformed

EARLIEST = datetime(2009, 1, 3, tzinfo=UTC)
# A time may lie this much outside the lifetime of its sync, because clocks differ.
LEEWAY = timedelta(seconds=60)
MAX_ROWS = 1_000_000


def check_bounds(exchange: Exchange, read: WalletRead) -> None:
    """Raise Malformed for a wallet read with a name or number that no honest worker sends."""
    assets = [balance.asset for balance in read.balances or ()]
    if len(set(assets)) != len(assets):
        raise Malformed("a wallet holds an asset twice")
    named = [*assets, *(row.asset for row in read.unreadable if row.asset is not None)]
    for position in read.positions or ():
        named += [each for each in (position.currency, position.size_currency) if each is not None]
    if not all(map(exchange.names_asset, named)):
        raise Malformed("the name of an asset can not be one of the exchange")
    if not 0 <= read.unreadable_count <= MAX_ROWS:
        raise Malformed("a wallet can not have so many rows")
    try:
        for amount in _amounts(read):
            check_digits(amount)
        for time in (read.as_of, read.reported_at, read.positions_as_of):
            _ = time and time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed("an amount or a time can not be one") from None


def is_in_life(read: WalletRead, requested_at: datetime, now: datetime) -> bool:
    """Return whether a wallet was read, or valued, between the request of its sync and now, within LEEWAY.

    The time of the exchange's data may be long before, but not after.
    """
    if read.verdict not in {*READ, Verdict.NOT_DUE} or read.as_of is None:
        return True
    if not requested_at - LEEWAY <= read.as_of <= now + LEEWAY:
        return False
    return read.reported_at is None or EARLIEST <= read.reported_at <= now + LEEWAY


def _amounts(read: WalletRead) -> Iterator[Decimal]:
    """Yield every amount in the read of a wallet."""
    optional = [read.difference_usd, *(row.usd for row in read.unreadable)]
    if (totals := read.totals) is not None:
        optional += [totals.listed, totals.gross, totals.stated, totals.valued]
    for balance in read.balances or ():
        optional += [balance.total, balance.available, balance.locked, balance.borrowed, balance.in_bots]
        optional.append(balance.interest)
    yield from (amount for amount in optional if amount is not None)
    for position in read.positions or ():
        yield from position.amounts
