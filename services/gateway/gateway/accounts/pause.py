"""Pausing accounts whose key has wrong rights or another owner, and resuming them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from contracts.exchanges import EXCHANGES
from contracts.faults import Code
from contracts.syncs import SyncOutcome
from contracts.wire.envelope import Malformed
from contracts.wire.grants import granted_credential
from gateway.accounts.rights import Finding, judge_rights
from gateway.rows.accounts import Account
from gateway.rows.pauses import Begun, Ended, Key, Pause
from gateway.rows.syncs import Queued
from gateway.store import accounts, audit, outbox, pauses, sub_accounts
from gateway.store.audit import Action
from gateway.store.lately import forget_refusals
from gateway.store.pool import Connection, database_time
from gateway.syncs.messages import account_paused, account_resumed

# The reverifier looks every five seconds, so an account is verified within a minute of its pause.
FIRST_VERIFY_SECONDS = 30.0


async def find_refused(
    connection: Connection, outcomes: Sequence[tuple[SyncOutcome, Queued]], keys: Mapping[UUID, Key]
) -> dict[UUID, Finding]:
    """Return the syncs whose key must not be used, with the reason, and pause the accounts of those keys.

    `keys` are those of the accounts, which are locked. The rights of a key decide about the numbers that it
    read. The account is paused only if the key is still the account's. A sub-account is paused with its
    parent, or in a later sync if another transaction holds the parent.
    """
    refused: dict[UUID, Finding] = {}
    begun: dict[UUID, Begun] = {}
    for outcome, sync in outcomes:
        key = keys.get(sync.account_id)
        finding = _finding(outcome, key) if key and key.exchange in EXCHANGES else None
        if key is None or finding is None:
            continue
        refused[sync.id] = finding
        if _made_with(key, outcome, sync) and await _is_locked(connection, key, sync):
            begun[key.account_id] = Begun(key.account_id, key.credential_id, finding.code, finding.rights)
    if begun:
        await _pause(connection, list(begun.values()), {each.account_id: each for each in keys.values()})
    return refused


def _finding(outcome: SyncOutcome, key: Key) -> Finding | None:
    """Judge the rights of an outcome.

    If the outcome has no rights, or the key may not read, the reason of an existing pause holds. A key that
    is not paused and may not read is not a finding, because its wallets report that.
    """
    if outcome.rights is not None:
        finding = judge_rights(EXCHANGES[key.exchange], key.exchange_uid, outcome.rights)
        if finding is None or finding.code != Code.PERMISSION_MISSING:
            return finding
    return Finding(key.reason, key.rights or ()) if key.reason else None


async def _is_locked(connection: Connection, key: Key, sync: Queued) -> bool:
    return key.account_id == sync.account_id or await sub_accounts.try_lock(connection, key.account_id)


def _made_with(key: Key, outcome: SyncOutcome, sync: Queued) -> bool:
    """Return whether an outcome was made with the account's present key.

    The grant names the key. Without a grant, a sync older than the key was made with an earlier key.
    """
    if outcome.grant is not None:
        with suppress(Malformed):
            return granted_credential(outcome.grant) == key.credential_id
    return sync.requested_at >= key.since


async def _pause(connection: Connection, begun: list[Begun], keys: Mapping[UUID, Key]) -> None:
    """Pause accounts; accounts that are already paused keep their reason."""
    paused = await pauses.begin(connection, begun, FIRST_VERIFY_SECONDS)
    for pause in paused:
        key = keys[pause.account_id]
        await _tell_paused(connection, key.user_id, key.exchange, pause)


async def pause_found(connection: Connection, account: Account, finding: Finding) -> None:
    """Pause a locked account whose key a verification has found wrong, and publish an event."""
    assert account.credential_id is not None  # noqa: S101 - not deleted
    begun = Begun(account.id, account.credential_id, finding.code, finding.rights)
    for pause in await pauses.begin(connection, [begun], FIRST_VERIFY_SECONDS):
        await _tell_paused(connection, account.user_id, account.exchange, pause)


async def change_reason(connection: Connection, account: Account, finding: Finding, verify_in: float) -> None:
    """Set the reason of a locked, paused account; publish an event if the reason changed."""
    before = (await pauses.find(connection, [account.id])).get(account.id)
    pause = await pauses.change(connection, account.id, finding.code, finding.rights, verify_in)
    if before is not None and pause is not None and before.reason != pause.reason:
        await _tell_paused(connection, account.user_id, account.exchange, pause)


async def resume(connection: Connection, account: Account) -> Pause | None:
    """End the pause of a locked account, if it has one, and publish an event."""
    pause = await pauses.end(connection, account.id)
    if pause is not None:
        await forget_refusals(connection, account)
        for account_id in (account.id, *await _children(connection, account.id)):
            await accounts.forget_error(connection, account_id)
        ended = Ended(account.id, account.user_id, account.exchange, pause.paused_at, account.deleted_at)
        await tell_resumed(connection, ended)
    return pause


async def tell_resumed(connection: Connection, ended: Ended) -> None:
    """Publish and audit the end of a pause, which also ends the pauses of sub-accounts."""
    now = await database_time(connection)
    for account_id in (ended.account_id, *await _children(connection, ended.account_id)):
        event = account_resumed(account_id, ended.user_id, ended.exchange, ended.paused_at, now)
        await outbox.put(connection, event)
    await audit.record(connection, Action.ACCOUNT_RESUMED, ended.user_id, ended.account_id)


async def _tell_paused(connection: Connection, user_id: UUID, exchange: str, pause: Pause) -> None:
    below = await pauses.find(connection, await _children(connection, pause.account_id))
    for each in (pause, *below.values()):
        await outbox.put(connection, account_paused(user_id, exchange, each))
    await audit.record(
        connection,
        Action.ACCOUNT_PAUSED,
        user_id,
        pause.account_id,
        credential_id=str(pause.credential_id),
        reason=pause.reason,
        rights=list(pause.rights),
    )


async def _children(connection: Connection, account_id: UUID) -> list[UUID]:
    return [child.account_id for child in await sub_accounts.list_children(connection, account_id)]
