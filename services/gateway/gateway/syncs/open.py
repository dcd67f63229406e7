"""Opening syncs: the sync, its request in the outbox and its audit in one transaction of the caller."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from gateway.accounts.paused import account_paused
from gateway.errors import NotFound
from gateway.operators.venues import require_running, running
from gateway.rows.accounts import Account
from gateway.rows.outbox import Outgoing
from gateway.rows.schedules import Due
from gateway.rows.syncs import Opening, Sync
from gateway.store import accounts, audit, outbox, pauses, schedules, syncs
from gateway.store.audit import Action
from gateway.store.lately import find_lately
from gateway.store.pool import Connection
from gateway.store.sub_accounts import find_sources
from gateway.syncs.messages import sync_request
from gateway.syncs.pace import CLOSED_SECONDS, spread
from gateway.syncs.record import record_refused


class Terms(msgspec.Struct, frozen=True):
    """The key that signs the grants of syncs, and the seconds until a sync's deadline.

    A completed sync answers requests for `cache_seconds` after its end.
    """

    key: Ed25519PrivateKey
    deadline_seconds: float
    cache_seconds: float = 0.0


class Opened(msgspec.Struct, frozen=True):
    """The syncs of a user's accounts; those in `refused` failed at once."""

    syncs: list[Sync]
    refused: list[Sync]


async def open_one(connection: Connection, terms: Terms, account_id: UUID, sync_id: UUID) -> Sync:
    """Open a sync of an account under an id, or return the open one.

    Raises NotFound, AccountPaused and ExchangePaused. The caller must wake the relay after the commit.
    """
    account = await accounts.lock_account(connection, account_id)
    if account is None or account.deleted_at is not None:
        raise NotFound
    if pause := (await pauses.find(connection, [account.id])).get(account.id):
        raise account_paused(pause, account.exchange)
    await require_running(connection, account.exchange)
    return await _open_or_join(connection, terms, account, sync_id)


async def open_all(connection: Connection, terms: Terms, user_id: UUID) -> Opened:
    """Open a sync of every account of a user, or join the open one; syncs of paused accounts fail.

    Leaves out accounts of exchanges that an operator has paused; raises ExchangePaused if none is left. A
    joined sync may have a grant from before the pause. The caller must wake the relay after the commit, and
    announce the ends of the refused syncs.
    """
    locked = [
        account
        for listed in await running(connection, await accounts.list_accounts(connection, user_id))
        if (account := await accounts.lock_account(connection, listed.id)) and account.deleted_at is None
    ]
    paused = await pauses.find(connection, [account.id for account in locked])
    opened = [
        await syncs.open_sync(connection, uuid7(), account, terms.deadline_seconds)
        if account.id in paused
        else await _open_or_join(connection, terms, account, uuid7())
        for account in locked
    ]
    refusing = [sync for sync in opened if sync.account_id in paused]
    return Opened(opened, await record_refused(connection, refusing, paused))


async def open_due(connection: Connection, terms: Terms, due: Sequence[Due]) -> list[UUID]:
    """Open the syncs of claimed accounts, and set when each is due again; returns the ids of the syncs.

    An account with an open sync gets no other, and a closed one none. The caller must wake the relay after
    the commit.
    """
    if not due:
        return []
    openings = [_scheduled(terms, account) for account in due if not account.closed]
    waits = {each.id: spread(CLOSED_SECONDS if each.closed else each.interval_seconds) for each in due}
    return await schedules.write(connection, [each for each in openings if each is not None], waits)


def _scheduled(terms: Terms, account: Due) -> tuple[Opening, Outgoing] | None:
    """Return a sync to open, with its request; None if the account has no credential."""
    deadline = account.now + timedelta(seconds=terms.deadline_seconds)
    named = (uuid7(), account.user_id, account.id, account.credential_id, account.exchange)
    sync = Opening(*named, deadline)
    request = sync_request(sync, account, terms.key, account.lately, scheduled=True, source=account.source)
    return None if request is None else (sync, request)


async def _open_or_join(connection: Connection, terms: Terms, account: Account, sync_id: UUID) -> Sync:
    """Open a sync of a locked account, or return the open one."""
    sync = await syncs.open_sync(connection, sync_id, account, terms.deadline_seconds)
    if sync.id != sync_id:
        return sync
    lately = await find_lately(connection, account.id)
    source = (await find_sources(connection, [account.id])).get(account.id)
    request = sync_request(sync, account, terms.key, lately, source=source)
    if request is None:
        raise NotFound
    await outbox.put(connection, request)
    await audit.record(
        connection, Action.SYNC_REQUESTED, account.user_id, sync.id, account_id=str(account.id)
    )
    return sync
