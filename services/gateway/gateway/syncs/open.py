"""Accepting requests for syncs: the sync, its outbox row and its audit in one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from gateway.accounts.paused import account_paused
from gateway.http.problems import Problem, invalid_input, not_found
from gateway.identity.throttle import admit, look_for_room
from gateway.limits import Allowance, Limits, Policy, rate_limit_fields
from gateway.outbox.relay import Relay
from gateway.store import accounts, audit, limits, outbox, pauses, syncs
from gateway.store import idempotency as idempotency_keys
from gateway.store.accounts import Account
from gateway.store.audit import Action
from gateway.store.pool import Connection, Pool
from gateway.store.syncs import Sync
from gateway.syncs.announce import Announcer
from gateway.syncs.messages import sync_request
from gateway.syncs.record import record_refused

MAX_KEY = 128


class Idempotency(msgspec.Struct, frozen=True):
    """A client's key and what it was used for: method and path, because these requests have no body."""

    key: str
    fingerprint: str


class Asking(msgspec.Struct, frozen=True):
    """The user of a request for syncs, the address that it came from, and its key where it has one."""

    user_id: UUID
    address: str | None
    idempotency: Idempotency | None = None


class Accepted(msgspec.Struct, frozen=True):
    """The sync or the batch that a request stands for, and what the user's limit still allows.

    `replayed` says that its Idempotency-Key was used before: what it stands for is that of the first request.
    """

    target_id: UUID
    allowance: Allowance
    replayed: bool = False

    def headers(self) -> dict[str, str]:
        """Give the header fields of the answer."""
        replayed = {"Idempotency-Replayed": "true"} if self.replayed else {}
        return rate_limit_fields([self.allowance]) | replayed


class Requests:
    """Opens syncs, or joins those that are open, as often as a user may."""

    def __init__(  # noqa: PLR0913 - the parts that it works with
        self,
        pool: Pool,
        relay: Relay,
        announcer: Announcer,
        key: Ed25519PrivateKey,
        *,
        deadline_seconds: float,
        allowed: Limits,
    ) -> None:
        self._pool = pool
        self._relay = relay
        self._announcer = announcer
        self._key = key
        self._deadline_seconds = deadline_seconds
        self._limits = allowed

    async def one(self, asking: Asking, account_id: UUID) -> Accepted:
        """Request a sync of one account; raises Problem, after which nothing was changed.

        One too many is not counted; every other request is, also where it is refused.
        """
        async with self._counted(asking, self._limits.sync) as connection:
            accepted = await self._one(connection, asking, account_id)
        self._relay.wake()
        return accepted

    async def all(self, asking: Asking) -> Accepted:
        """Request a sync of every account; raises Problem as `one` does."""
        async with self._counted(asking, self._limits.sync_all) as connection:
            accepted, refused = await self._all(connection, asking)
        self._relay.wake()
        for sync in refused:
            await self._announcer.ended(sync)
        return accepted

    @asynccontextmanager
    async def _counted(self, asking: Asking, policy: Policy) -> AsyncIterator[Connection]:
        """Give a transaction that counts for the client's address, and last, because many wait for that row.

        A refusal has rolled back what was counted with all else, and is counted in a transaction of its own.
        """
        of_address = self._limits.by_address(asking.address)
        try:
            async with self._pool.transaction() as connection:
                await look_for_room(connection, of_address)
                yield connection
                await admit(connection, of_address)
        except Problem as problem:
            if problem.status is not HTTPStatus.TOO_MANY_REQUESTS:
                async with self._pool.transaction() as connection:
                    await admit(connection, [(policy, str(asking.user_id)), *of_address])
            raise

    async def _one(self, connection: Connection, asking: Asking, account_id: UUID) -> Accepted:
        sync_id, user_id, idempotency = uuid7(), asking.user_id, asking.idempotency
        if await accounts.find_account(connection, user_id, account_id) is None:
            raise not_found()
        accepted = await self._accepted(connection, asking, self._limits.sync, sync_id)
        if accepted.target_id != sync_id:
            return accepted
        account = await accounts.lock_account(connection, account_id)
        if account is None or account.deleted_at is not None:
            raise not_found()
        if pause := (await pauses.find(connection, [account.id])).get(account.id):
            raise account_paused(pause, account.exchange)
        sync = await self._open_or_join(connection, account, sync_id)
        if idempotency is not None and sync.id != sync_id:
            await idempotency_keys.point(connection, user_id, idempotency.key, sync.id)
        return Accepted(sync.id, accepted.allowance)

    async def _all(self, connection: Connection, asking: Asking) -> tuple[Accepted, list[Sync]]:
        """Open a sync of every account; gives also those that failed at once."""
        batch_id = uuid7()
        accepted = await self._accepted(connection, asking, self._limits.sync_all, batch_id)
        if accepted.target_id != batch_id:
            return accepted, []
        opened, refused = await self._open_each(connection, asking.user_id)
        await syncs.insert_batch(connection, batch_id, asking.user_id, [sync.id for sync in opened])
        return accepted, refused

    async def _open_each(self, connection: Connection, user_id: UUID) -> tuple[list[Sync], list[Sync]]:
        """Open a sync of every account, or join the open one; gives them, and those that failed at once.

        These are of paused accounts. One that was joined may have been granted before the pause.
        """
        locked = [
            account
            for listed in await accounts.list_accounts(connection, user_id)
            if (account := await accounts.lock_account(connection, listed.id)) and account.deleted_at is None
        ]
        paused = await pauses.find(connection, [account.id for account in locked])
        opened = [
            await syncs.open_sync(connection, uuid7(), account, self._deadline_seconds)
            if account.id in paused
            else await self._open_or_join(connection, account, uuid7())
            for account in locked
        ]
        refusing = [sync for sync in opened if sync.account_id in paused]
        return opened, await record_refused(connection, refusing, paused)

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
        self, connection: Connection, asking: Asking, policy: Policy, target_id: UUID
    ) -> Accepted:
        """Count a request that is new; gives the earlier target of one that is not. Raises Problem.

        One that is not new counts like any other request that changes something.
        """
        if asking.idempotency is not None:
            earlier = await self._claimed(connection, asking.user_id, asking.idempotency, target_id)
            if earlier is not None:
                await admit(connection, [(self._limits.write, str(asking.user_id))])
                left = await limits.look(connection, policy, str(asking.user_id))
                return Accepted(earlier, left, replayed=True)
        (allowance,) = await admit(connection, [(policy, str(asking.user_id))])
        return Accepted(target_id, allowance)

    async def _claimed(
        self, connection: Connection, user_id: UUID, idempotency: Idempotency, target_id: UUID
    ) -> UUID | None:
        """Take the key; gives what it stands for when it was used before.

        Raises Problem for another use, and for a key that can not be one.
        """
        key = idempotency.key
        if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
            raise invalid_input(f"Idempotency-Key must be 1 to {MAX_KEY} printable characters.")
        earlier = await idempotency_keys.claim(connection, user_id, key, idempotency.fingerprint, target_id)
        if earlier is None:
            return None
        if earlier.fingerprint != idempotency.fingerprint:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "This Idempotency-Key was used for another request within 24 hours: choose a new one.",
            )
        return earlier.target_id
