"""Accepting requests for syncs: the sync, its outbox row and its audit in one transaction."""

from http import HTTPStatus
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from gateway.admitting import admit
from gateway.errors import Problem, not_found
from gateway.limits import Allowance, Limits, Policy
from gateway.messages import sync_request
from gateway.relay import Relay
from gateway.store import accounts, audit, limits, outbox, syncs
from gateway.store import idempotency as idempotency_keys
from gateway.store.accounts import Account
from gateway.store.audit import Action
from gateway.store.pool import Connection, Pool
from gateway.store.syncs import Sync


class Idempotency(msgspec.Struct, frozen=True):
    """A client's key and what it was used for: method and path, because these requests have no body."""

    key: str
    fingerprint: str


class Accepted(msgspec.Struct, frozen=True):
    """The sync or the batch that a request stands for, and what the user's limit still allows."""

    target_id: UUID
    allowance: Allowance


class Requests:
    """Opens syncs, or joins those that are open, as often as a user may."""

    def __init__(
        self, pool: Pool, relay: Relay, key: Ed25519PrivateKey, deadline_seconds: float, allowed: Limits
    ) -> None:
        self._pool = pool
        self._relay = relay
        self._key = key
        self._deadline_seconds = deadline_seconds
        self._limits = allowed

    async def one(self, user_id: UUID, account_id: UUID, idempotency: Idempotency | None) -> Accepted:
        """Request a sync of one account; raises Problem, after which nothing was changed.

        One too many is not counted; a request for an account that is not there is.
        """
        async with self._pool.transaction() as connection:
            found = await accounts.find_account(connection, user_id, account_id)
            if found is None:
                await admit(connection, [self._limits.sync], str(user_id))
        if found is None:
            raise not_found()
        return await self._one(user_id, account_id, idempotency)

    async def _one(self, user_id: UUID, account_id: UUID, idempotency: Idempotency | None) -> Accepted:
        sync_id = uuid7()
        async with self._pool.transaction() as connection:
            accepted = await self._accepted(connection, user_id, self._limits.sync, idempotency, sync_id)
            if accepted.target_id != sync_id:
                return accepted
            account = await accounts.lock_account(connection, account_id)
            if account is None or account.deleted_at is not None:
                raise not_found()
            sync = await self._open_or_join(connection, account, sync_id)
            if idempotency is not None and sync.id != sync_id:
                await idempotency_keys.point(connection, user_id, idempotency.key, sync.id)
        self._relay.wake()
        return Accepted(sync.id, accepted.allowance)

    async def all(self, user_id: UUID, idempotency: Idempotency | None) -> Accepted:
        """Request a sync of every account; raises Problem, after which nothing was changed or counted."""
        batch_id = uuid7()
        async with self._pool.transaction() as connection:
            accepted = await self._accepted(connection, user_id, self._limits.sync_all, idempotency, batch_id)
            if accepted.target_id != batch_id:
                return accepted
            opened = [
                await self._open_or_join(connection, account, uuid7())
                for listed in await accounts.list_accounts(connection, user_id)
                if (account := await accounts.lock_account(connection, listed.id))
                and account.deleted_at is None
            ]
            await syncs.insert_batch(connection, batch_id, user_id, [sync.id for sync in opened])
        self._relay.wake()
        return accepted

    async def _open_or_join(self, connection: Connection, account: Account, sync_id: UUID) -> Sync:
        """Open a sync of a locked account, or give the one that is open."""
        sync = await syncs.open_sync(connection, sync_id, account, self._deadline_seconds)
        if sync.id != sync_id:
            return sync
        request = sync_request(sync, account, self._key)
        if request is None:
            raise not_found()
        await outbox.put(connection, request)
        await audit.record(
            connection,
            Action.SYNC_REQUESTED,
            user_id=account.user_id,
            subject=sync.id,
            account_id=str(account.id),
        )
        return sync

    async def _accepted(
        self,
        connection: Connection,
        user_id: UUID,
        policy: Policy,
        idempotency: Idempotency | None,
        target_id: UUID,
    ) -> Accepted:
        """Count a request that is new; gives the earlier target of one that is not. Raises Problem.

        One that is not new counts like any other request that changes something.
        """
        if idempotency is not None:
            earlier = await self._claimed(connection, user_id, idempotency, target_id)
            if earlier is not None:
                await admit(connection, [self._limits.write], str(user_id))
                return Accepted(earlier, await limits.look(connection, policy, str(user_id)))
        (allowance,) = await admit(connection, [policy], str(user_id))
        return Accepted(target_id, allowance)

    async def _claimed(
        self, connection: Connection, user_id: UUID, idempotency: Idempotency, target_id: UUID
    ) -> UUID | None:
        """Take the key; gives what it stands for when it was used before. Raises Problem for another use."""
        earlier = await idempotency_keys.claim(
            connection, user_id, idempotency.key, idempotency.fingerprint, target_id
        )
        if earlier is None:
            return None
        if earlier.fingerprint != idempotency.fingerprint:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request within 24 hours: choose a new one.",
            )
        return earlier.target_id
