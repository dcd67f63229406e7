"""Days of accounts by the sums of their closes, equal to the sums of their contents. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from gateway.portfolio.history import AccountThen, Then
from gateway.portfolio.values import AccountValues, Doubt, DoubtCode, Summed, exact_sum, total_of, worth
from gateway.rows.closes import Closed, ClosedDay, CloseSum
from gateway.rows.restores import Restore
from gateway.rows.snapshots import Content, Past, Snapshot

# The sum says what the content would.
NO_ID, UNREAD = UUID(int=0), Content((), (), {})
# The sum of an account, None if it was not read yet, with what is to be said of it.
Row = tuple[AccountThen, CloseSum | None]


def sum_of(of: AccountValues) -> CloseSum:
    """Return the sum of an account, and what is to be said about it."""
    known = [part.value for part in of.parts if part.value is not None]
    alone = worth([of])
    return CloseSum(
        exact_sum(known) if known else None,
        bool(of.parts),
        alone.balances_as_of,
        alone.prices_at,
        alone.unpriced,
        tuple((doubt.wallet, doubt.code) for doubt in alone.doubts if doubt.wallet is not None),
        tuple((doubt.asset, doubt.code) for doubt in alone.doubts if doubt.asset is not None),
    )


def thens(
    accounts: Sequence[Closed], times: Sequence[datetime], restores: Sequence[Restore]
) -> list[Then] | None:
    """Return the worth at the ends of days, in their order; None if contents are needed for it.

    They are where a day has no close and the one before is carried on, where an earlier version has written
    no sum, and where a restore may have lost a newer state.
    """
    of_times: list[list[Row]] = [[] for _ in times]
    for account in accounts:
        if not _added(account, times, restores, of_times):
            return None
    return [
        Then(time, tuple([account for account, _ in rows]), _summed(rows))
        for time, rows in zip(times, of_times, strict=True)
    ]


def _added(
    account: Closed,
    times: Sequence[datetime],
    restores: Sequence[Restore],
    of_times: Sequence[list[Row]],
) -> bool:
    """Add the rows of an account to those of all times; returns False if contents are needed."""
    unread, fresh, old = _states(account)
    is_carried, days = account.is_carried, iter(account.days)
    day = next(days, None)
    for time, rows in zip(times, of_times, strict=True):
        if day is None or day.at > time:
            if is_carried:
                return False
            if account.created_at <= time:
                rows.append((unread, None))
            continue
        if day.at != time or day.sum is None or _may_be_lost(day, restores):
            return False
        rows.append((old if _is_old(day) else fresh, day.sum))
        is_carried, day = True, next(days, None)
    return True


def _states(of: Closed) -> tuple[AccountThen, AccountThen, AccountThen]:
    """Return what an account is at a time: not read yet, closed, or closed with balances that were old."""
    past = Past(of.account_id, of.name, of.exchange, of.created_at, None, [], None, [])
    held = Snapshot(NO_ID, of.created_at, of.created_at, 0, UNREAD)
    return (
        AccountThen(past, None, None, is_old=False),
        AccountThen(past, held, None, is_old=False),
        AccountThen(past, held, None, is_old=True),
    )


def _is_old(day: ClosedDay) -> bool:
    return day.until < day.at and day.at > day.until + timedelta(seconds=day.fresh_seconds)


def _may_be_lost(day: ClosedDay, restores: Sequence[Restore]) -> bool:
    return bool(restores) and any(each.may_have_lost(day.at, day.until) for each in restores)


def _summed(rows: Sequence[Row]) -> Summed:
    """Add the sums of accounts, as `worth` adds their values."""
    sums = [(account.past.account_id, of) for account, of in rows if of is not None]
    codes = dict([each for _, of in sums if of.prices for each in of.prices])
    doubts = [Doubt(code, account_id, wallet) for account_id, of in sums for wallet, code in of.wallets]
    doubts += [Doubt(code, asset=asset) for asset, code in sorted(codes.items())]
    if not sums:
        doubts = [Doubt(DoubtCode.NO_ACCOUNTS)]
    return Summed(
        total_of([of.total for _, of in sums if of.holds], doubts),
        tuple(sorted({asset for _, of in sums if of.unpriced for asset in of.unpriced})),
        min([of.as_of for _, of in sums if of.as_of is not None], default=None),
        min([of.prices_at for _, of in sums if of.prices_at is not None], default=None),
        tuple(doubts),
    )
