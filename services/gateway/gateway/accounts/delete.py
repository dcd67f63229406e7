"""Deleting accounts and users: at once in the database, later in the vault by the destroyer."""

import asyncio
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.faults import Code
from gateway.accounts.destroyer import Destroyer
from gateway.errors import NotFound, OfMaster, WrongPassword
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.store import (
    accounts,
    assets,
    audit,
    credentials,
    deleted_users,
    logins,
    networks,
    offers,
    outbox,
    pauses,
    prices,
    sessions,
    sub_accounts,
    syncs,
)
from gateway.store.audit import Action
from gateway.store.background import attempt, repeat
from gateway.store.pool import Connection, Pool
from gateway.store.users import User
from gateway.syncs.messages import failed_outcome, sync_grant

SWEEP_SECONDS = 5.0
USERS_AT_ONCE = 20
SYNCS_AT_ONCE = 500
BATCHES = 40
FIRST = UUID(int=0)

log = structlog.get_logger()


class Deleting:
    """Deletes users, and accounts with their balances; an open sync is settled as failed."""

    def __init__(self, pool: Pool, relay: Relay, destroyer: Destroyer, key: Ed25519PrivateKey) -> None:
        self._pool = pool
        self._relay = relay
        self._destroyer = destroyer
        self._key = key
        self._emptied_to = FIRST

    async def delete(self, user_id: UUID, account_id: UUID) -> None:
        """Delete an account; raises NotFound if the user has no account with this id.

        Raises OfMaster for a sub-account that the key of its master reads.
        """
        if not await self._deleted(user_id, account_id, asked=True):
            raise NotFound

    async def drop_sub_accounts(self, connection: Connection, parent_id: UUID) -> None:
        """Delete the accounts of the sub-accounts of a locked account; the caller wakes this afterwards."""
        for child in await sub_accounts.list_children(connection, parent_id):
            await self._drop(connection, child.account_id)

    def wake(self) -> None:
        """Publish the outcomes and destroy the secrets of what was deleted."""
        self._destroyer.wake()
        self._relay.wake()

    async def delete_user(self, user: User, address: str | None) -> None:
        """Delete a user whose password was just checked; raises WrongPassword if it was changed meanwhile.

        After the first transaction the user's tokens and password stop working and the email address is
        free. Then the user's data are deleted; if that is interrupted, `run` of any gateway continues it.
        """
        async with self._pool.transaction() as connection:
            if not await deleted_users.delete_user(connection, user):
                raise WrongPassword
            await sessions.delete_all(connection, user.id)
            for counted_as in (user.email, str(user.id)):
                await logins.forget(connection, counted_as)
            await audit.record(connection, Action.USER_DELETED, user.id, user.id, address=address)
        await self._empty_or_later(user.id)

    async def run(self, every: float = SWEEP_SECONDS) -> None:
        """Finish interrupted deletions, for ever; any number of gateways may run this at once."""
        await repeat("deleting", self.finish, asyncio.sleep, every)

    async def finish(self) -> None:
        """Delete the remaining data of deleted users, including rows added by requests in flight.

        Each call continues after the users of the last one: a deletion that fails delays no other.
        """
        async with self._pool.transaction() as connection:
            user_ids = await deleted_users.list_to_empty(connection, self._emptied_to, USERS_AT_ONCE)
        await self._delete_orphans()
        self._emptied_to = user_ids[-1] if len(user_ids) == USERS_AT_ONCE else FIRST
        emptied = [user_id for user_id in user_ids if await self._empty_or_later(user_id)]
        for _ in range(BATCHES if user_ids else 0):
            async with self._pool.transaction() as connection:
                if await deleted_users.forget_reads(connection, SYNCS_AT_ONCE) < SYNCS_AT_ONCE:
                    break
        if emptied:
            async with self._pool.transaction() as connection:
                await deleted_users.set_emptied(connection, emptied)

    async def _delete_orphans(self) -> None:
        """Delete the sub-accounts of accounts that a gateway of the version before has deleted."""
        async with self._pool.transaction() as connection:
            orphans = await sub_accounts.list_orphans(connection, USERS_AT_ONCE)
            for account_id in orphans:
                await self._drop(connection, account_id)
        if orphans:
            self.wake()

    async def _drop(self, connection: Connection, account_id: UUID) -> None:
        """Delete the account of a sub-account, unless it got a key of its own before it was locked."""
        account = await accounts.lock_account(connection, account_id)
        if account is None or account.credential_id is None:
            return
        if await sub_accounts.find_child(connection, account_id) is not None:
            await _take_away(connection, account, self._key)

    async def _empty_or_later(self, user_id: UUID) -> bool:
        """Delete the data of a deleted user; False if that failed, and the sweep must try it again."""
        return await attempt("emptying", self._empty(user_id), user_id=user_id)

    async def _empty(self, user_id: UUID) -> None:
        """Delete the accounts of a deleted user, one by one, and all other personal data."""
        async with self._pool.transaction() as connection:
            listed = await accounts.list_accounts(connection, user_id)
        for account in listed:
            await self._deleted(user_id, account.id)
        async with self._pool.transaction() as connection:
            await credentials.doom_pending_of(connection, user_id)
            await offers.end_all_of(connection, user_id)
            await sessions.delete_all(connection, user_id)
            await networks.forget_all(connection, user_id)
            await prices.forget_manual(connection, user_id)
            await assets.forget_choices(connection, user_id)
            await deleted_users.forget_exchange_uids(connection, user_id)
            await deleted_users.forget_idempotency_keys(connection, user_id)
        self._destroyer.wake()

    async def _deleted(self, user_id: UUID, account_id: UUID, *, asked: bool = False) -> bool:
        """Delete an account with its sub-accounts; False if the user has no account with this id.

        The next list would add a sub-account again, so its user can not delete it alone (`asked`).
        """
        async with self._pool.transaction() as connection:
            account = await accounts.lock_account(connection, account_id)
            if account is None or account.user_id != user_id or account.credential_id is None:
                return False
            if asked and (child := await sub_accounts.find_child(connection, account.id)):
                raise OfMaster(child.parent_id)
            await self.drop_sub_accounts(connection, account.id)
            await _take_away(connection, account, self._key)
        self.wake()
        return True


async def _take_away(connection: Connection, account: Account, key: Ed25519PrivateKey) -> None:
    """Delete a locked account and settle its open sync.

    The credential of a sub-account is a stand-in, of which the vault holds nothing.
    """
    assert account.credential_id is not None  # noqa: S101 - not deleted yet
    child = await sub_accounts.find_child(connection, account.id)
    queued = await syncs.find_open(connection, account.id)
    if queued is not None:
        grant = sync_grant(queued, account.credential_id, key)
        await outbox.put(connection, failed_outcome(queued, Code.ACCOUNT_DELETED, grant=grant))
    await accounts.delete_account(connection, account.id)
    pause = await pauses.end(connection, account.id)
    if child is not None or (pause is not None and pause.is_stand_in(account.credential_id)):
        await credentials.delete_stand_in(connection, account.credential_id)
    else:
        await credentials.doom(connection, account.credential_id, "live")
    await audit.record(connection, Action.ACCOUNT_DELETED, account.user_id, account.id)
