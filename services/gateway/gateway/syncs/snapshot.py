"""Beginning the snapshots of accounts that syncs have changed, in the transaction that records these."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from gateway.portfolio.differences import difference
from gateway.portfolio.identity import Identity
from gateway.portfolio.shown_prices import Shown
from gateway.portfolio.snapshots import Change, begins, changes, content_of, facts_of, fresh_for, moments
from gateway.prices.book import Book
from gateway.prices.readings import Memory, last_readings
from gateway.rows.balances import Stored
from gateway.rows.outbox import Outgoing
from gateway.rows.snapshots import Begun, Content
from gateway.rows.syncs import Queued
from gateway.rows.uncovered import QuotedList
from gateway.store import assets, prices, snapshots
from gateway.store.pool import Connection
from gateway.store.quoted import find_quoted
from gateway.store.recording import Known
from gateway.syncs.keep import Kept
from gateway.syncs.messages import portfolio_changed

PriceOf = Callable[[str], Shown]


class Changed(msgspec.Struct, frozen=True):
    """A sync that has changed its account, and the digest of what the account holds now."""

    sync: Queued
    change: Change
    facts: UUID


async def snapshot(
    connection: Connection,
    syncs: Sequence[Queued],
    known: Mapping[UUID, Known],
    kept: tuple[Stored, Kept],
    memory: Memory,
) -> dict[UUID, Outgoing]:
    """Begin the snapshots of accounts that recorded syncs have changed; other accounts write nothing.

    Returns by sync the events of changed amounts.
    """
    changed = find_changed(syncs, known, *kept)
    if not changed:
        return {}
    books_of = await _pricing(connection, changed, memory)
    books = books_of({})
    if quoted := await _quoted(connection, changed, books):
        books = books_of(quoted)
    begun = [
        _begun(each, known[each.sync.account_id], book.at(each.sync.exchange))
        for each, book in zip(changed, books, strict=True)
    ]
    before = await snapshots.begin(connection, begun)
    return _events(changed, begun, before)


async def _pricing(
    connection: Connection, changed: Sequence[Changed], memory: Memory
) -> Callable[[Mapping[UUID, list[QuotedList]]], list[Book]]:
    """Return a maker of the book of prices for each sync, given the exchanges' valuations by user."""
    last, users = await last_readings(connection, memory), [each.sync.user_id for each in changed]
    manual = await prices.find_all_manual(connection, users)
    held = {balance.asset for each in changed for balance in each.change.listed}
    names = await assets.find_names(connection, users, sorted(held))

    def books_of(quoted: Mapping[UUID, list[QuotedList]]) -> list[Book]:
        times = [(each.sync.user_id, each.sync.now) for each in changed]
        return [
            Book(last, manual.get(user, {}), now, quoted.get(user, ()), Identity(names[user], now))
            for user, now in times
        ]

    return books_of


async def _quoted(
    connection: Connection, changed: Sequence[Changed], books: Sequence[Book]
) -> dict[UUID, list[QuotedList]]:
    """Return the exchanges' valuations for users of whom an account holds an asset without another price."""
    lacking = {
        each.sync.user_id
        for each, book in zip(changed, books, strict=True)
        if any(
            balance.total and book.at(each.sync.exchange)(balance.asset).value is None
            for balance in each.change.listed
        )
    }
    return await find_quoted(connection, sorted(lacking)) if lacking else {}


def find_changed(
    syncs: Sequence[Queued], known: Mapping[UUID, Known], stored: Stored, kept: Kept
) -> list[Changed]:
    """Return the syncs after which a new snapshot of their account begins."""
    by_account = {sync.account_id: sync for sync in syncs if sync.account_id in known}
    found = []
    for account_id, change in changes(by_account, stored, kept.wallets, kept.lists).items():
        account, facts, sync = known[account_id], facts_of(change), by_account[account_id]
        if begins(change, facts, account.open, fresh_for(account.pace), sync.now):
            found.append(Changed(sync, change, facts))
    return found


def _events(
    changed: Sequence[Changed], begun: Sequence[Begun], before: Mapping[UUID, Content]
) -> dict[UUID, Outgoing]:
    """Return the events of the accounts of which an amount changed."""
    found = {}
    for each, snapshot_begun in zip(changed, begun, strict=True):
        assets = difference(before.get(snapshot_begun.account_id), snapshot_begun.content).assets
        if assets:
            found[each.sync.id] = portfolio_changed(snapshot_begun, each.sync.exchange, assets)
    return found


def _begun(changed: Changed, account: Known, price_of: PriceOf) -> Begun:
    sync = changed.sync
    since, until = moments(changed.change, account.open, sync.now)
    return Begun(
        sync.account_id,
        sync.user_id,
        uuid7(),
        since,
        until,
        int(fresh_for(account.pace).total_seconds()),
        changed.facts,
        content_of(sync.exchange, changed.change, price_of),
    )
