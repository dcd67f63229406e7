"""Snapshots of accounts: when a new one begins, and what it says. Pure."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.syncs import TotalCheck
from gateway.portfolio.holdings import EXACT, WalletState, wallet_state
from gateway.portfolio.shown_prices import Shown
from gateway.portfolio.values import PriceRecord, Valued, values_of
from gateway.rows.balances import Place, Stored, StoredBalance, StoredWallet
from gateway.rows.schedules import Pace
from gateway.rows.snapshots import Amount, Content, Open, WalletPart

T = TypeVar("T")
# What a wallet says is confirmed in these states.
CONFIRMED = frozenset({WalletState.FRESH, WalletState.INCOMPLETE})
SHORTEST = timedelta(hours=2)
INSTANT = timedelta(microseconds=1)


class Change(msgspec.Struct, frozen=True):
    """The wallets of an account before and after a sync, and its balances after it.

    `held` are the wallets that held something before.
    """

    before: dict[str, StoredWallet]
    after: dict[str, StoredWallet]
    listed: list[StoredBalance]
    held: set[str]

    @property
    def was_read(self) -> bool:
        """Return whether any wallet was ever read."""
        return any(wallet.as_of is not None for wallet in self.after.values())


def changes(
    account_ids: Iterable[UUID],
    stored: Stored,
    wallets: Mapping[Place, StoredWallet],
    lists: Mapping[Place, list[StoredBalance]],
) -> dict[UUID, Change]:
    """Return the change of each account by the wallets and lists that are written."""
    found = {account_id: Change({}, {}, [], set()) for account_id in account_ids}
    for place, wallet in _of(found, stored.wallets):
        found[place.account_id].before[place.wallet] = wallet
    for place, wallet in _of(found, {**stored.wallets, **wallets}):
        found[place.account_id].after[place.wallet] = wallet
    for place, listed in _of(found, stored.lists):
        if _holds(listed):
            found[place.account_id].held.add(place.wallet)
    for place, listed in _of(found, {**stored.lists, **lists}):
        found[place.account_id].listed.extend(listed)
    return found


def _of(account_ids: Container[UUID], rows: Mapping[Place, T]) -> Iterator[tuple[Place, T]]:
    return ((place, row) for place, row in rows.items() if place.account_id in account_ids)


def _holds(listed: Iterable[StoredBalance]) -> bool:
    return any(each.total or each.borrowed for each in listed)


def facts_of(change: Change) -> UUID:
    """Return a digest of all that makes a new snapshot begin: states, errors, amounts and staleness.

    Times and prices are not in it. Another digest in a later release begins one snapshot of each account.
    """
    wallets = [
        (name, wallet_state(wallet), wallet.error_code, wallet.total_check is TotalCheck.DISAGREES)
        for name, wallet in sorted(change.after.items())
    ]
    amounts = sorted(
        (each.wallet, each.asset, _plain(each.total), _plain(each.borrowed), each.stale_as_of is not None)
        for each in change.listed
        if each.total or each.borrowed
    )
    return UUID(bytes=sha256(msgspec.json.encode((wallets, amounts))).digest()[:16])


def begins(change: Change, facts: UUID, before: Open | None, limit: timedelta, now: datetime) -> bool:
    """Return whether a new snapshot begins; `before` is the one that holds.

    One begins also after a hole: a wallet was not read for longer than `limit`; and in each month (UTC), so
    that old months can be deleted.
    """
    if before is None:
        return change.was_read
    return facts != before.facts or _month(before.since) != _month(now) or _has_hole(change, limit)


def _month(time: datetime) -> tuple[int, int]:
    moment = time.astimezone(UTC)
    return moment.year, moment.month


def moments(change: Change, before: Open | None, now: datetime) -> tuple[datetime, datetime]:
    """Return when a new snapshot begins, and when the one that holds was confirmed for the last time.

    It begins when the sync read its first wallet, and after the one that holds, whatever the clocks of
    workers say.
    """
    old = {name: wallet.as_of for name, wallet in change.before.items()}
    times = {name: wallet.as_of for name, wallet in change.after.items()}
    read = [at for name, at in times.items() if at is not None and at != old.get(name)]
    since = min([*read, now])
    if before is None:
        return since, since
    until = max(confirmed_at(change.before.values(), change.held) or before.since, before.since)
    return max(since, until, before.since + INSTANT), until


def confirmed_at(wallets: Iterable[StoredWallet], held: Container[str]) -> datetime | None:
    """Return when the wallets that hold something were last known, the oldest of them; None without one.

    A wallet that holds nothing need not be read in each sync. Where all are empty, the newest read counts.
    """
    times = {
        wallet.wallet: wallet.as_of
        for wallet in wallets
        if wallet.as_of is not None and wallet_state(wallet) in CONFIRMED
    }
    of_held = [at for name, at in times.items() if name in held]
    return min(of_held) if of_held else max(times.values(), default=None)


def fresh_for(pace: Pace | None) -> timedelta:
    """Return how long an account counts as known after a sync: two intervals of its schedule or two hours."""
    interval = None if pace is None else pace.interval_seconds
    return max(timedelta(seconds=2 * (interval or 0)), SHORTEST)


def content_of(exchange: str, change: Change, price_of: Callable[[str], Shown]) -> Content:
    """Return what an account holds, with the price of each asset that counts now."""
    covered = EXCHANGES[exchange].covered_wallets if exchange in EXCHANGES else ()
    names = dict.fromkeys((*covered, *sorted(change.after)))
    parts = (_wallet(name, change.after.get(name)) for name in names)
    wallets = tuple(part for part in parts if part.state != WalletState.NOT_COVERED)
    stale = {(each.wallet, each.asset): each.stale_as_of for each in change.listed}
    ordered: Sequence[StoredBalance] = sorted(change.listed, key=lambda each: (each.asset, each.wallet))
    return content_from(wallets, stale, values_of(ordered, price_of))


def content_from(
    wallets: tuple[WalletPart, ...],
    stale: Mapping[tuple[str, str], datetime | None],
    parts: Sequence[Valued],
) -> Content:
    """Return values with their prices; `stale` has the time of the amounts that a list could not supply."""
    amounts = tuple(
        Amount(
            part.wallet,
            part.asset,
            part.quantity,
            part.value,
            part.borrowed,
            stale[part.wallet, part.asset],
        )
        for part in parts
    )
    return Content(wallets, amounts, {part.asset: PriceRecord.of(part.price) for part in parts})


def _wallet(name: str, wallet: StoredWallet | None) -> WalletPart:
    if wallet is None:
        return WalletPart(name, WalletState.NEVER_READ)
    disagrees = wallet.total_check is TotalCheck.DISAGREES
    return WalletPart(name, wallet_state(wallet), wallet.as_of, wallet.error_code, disagrees)


def _has_hole(change: Change, limit: timedelta) -> bool:
    held = {each.wallet for each in change.listed if each.total or each.borrowed}
    old, new = confirmed_at(change.before.values(), change.held), confirmed_at(change.after.values(), held)
    return old is not None and new is not None and new - old > limit


def _plain(amount: Decimal | None) -> str | None:
    """Return a text that is the same for equal amounts."""
    return None if amount is None else str(EXACT.normalize(EXACT.plus(amount)))
