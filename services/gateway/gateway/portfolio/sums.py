"""Days of accounts by the sums of their closes, which say what their contents say. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from gateway.portfolio.history import AccountThen, Then
from gateway.portfolio.values import AccountValues, Doubt, DoubtCode, Summed, exact_sum, total_of, worth
from gateway.rows.closes import Closed, ClosedDay, CloseSum
from gateway.rows.restores import Restore
from gateway.rows.snapshots import Content, Past, Snapshot

# The sum says what these would.
NO_ID, UNREAD = UUID(int=0), Content((), (), {})
Found = list[tuple[AccountThen, ClosedDay | None]]


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
    """Return the worth at the ends of days; None if the contents of the closes are needed for it.

    They are where a day has no close and the one before is carried on, where an earlier version has written
    no sum, and where a restore may have lost a newer state.
    """
    listed = [(_past(each), each) for each in accounts]
    found: list[Then] = []
    for time in times:
        rows: Found = []
        for past, account in listed:
            number = bisect_right(account.days, time, key=_end)
            day = account.days[number - 1] if number else None
            if _is_lacking(account, day, time, restores):
                return None
            if day is not None or account.created_at <= time:
                rows.append((_then(past, day), day))
        found.append(Then(time, tuple(account for account, _ in rows), _summed(rows)))
    return found


def _end(day: ClosedDay) -> datetime:
    return day.at


def _is_lacking(account: Closed, day: ClosedDay | None, time: datetime, restores: Sequence[Restore]) -> bool:
    if day is None:
        return account.is_carried
    is_lost = any(each.may_have_lost(time, day.until) for each in restores)
    return day.at != time or day.sum is None or is_lost


def _past(of: Closed) -> Past:
    return Past(of.account_id, of.name, of.exchange, of.created_at, None, [], None, [])


def _then(past: Past, day: ClosedDay | None) -> AccountThen:
    if day is None:
        return AccountThen(past, None, None, is_old=False)
    held = Snapshot(NO_ID, day.at, day.until, day.fresh_seconds, UNREAD, day.day)
    is_old = day.at > day.until + timedelta(seconds=day.fresh_seconds)
    return AccountThen(past, held, None, is_old)


def _summed(rows: Found) -> Summed:
    """Add the sums of accounts, as `worth` adds their values."""
    sums = [(account.past.account_id, day.sum) for account, day in rows if day is not None and day.sum]
    codes = dict(each for _, of in sums for each in of.prices)
    doubts = [Doubt(code, account_id, wallet) for account_id, of in sums for wallet, code in of.wallets]
    doubts += [Doubt(code, asset=asset) for asset, code in sorted(codes.items())]
    if not sums:
        doubts = [Doubt(DoubtCode.NO_ACCOUNTS)]
    return Summed(
        total_of([of.total for _, of in sums if of.holds], doubts),
        tuple(sorted({asset for _, of in sums for asset in of.unpriced})),
        min((of.as_of for _, of in sums if of.as_of is not None), default=None),
        min((of.prices_at for _, of in sums if of.prices_at is not None), default=None),
        tuple(doubts),
    )
