"""Users' requests for syncs: within rate limits, and once per idempotency key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from gateway.errors import GatewayError, IdempotencyKeyReused, InvalidInput, NotFound, RateLimitExceeded
from gateway.limits import Allowance, Limits, Policy
from gateway.outbox.relay import Relay
from gateway.quotas import admit, look_for_room
from gateway.rows.syncs import Sync
from gateway.store import accounts, batches, limits
from gateway.store import idempotency as idempotency_keys
from gateway.store.pool import Connection, Pool
from gateway.syncs.announce import Announcer
from gateway.syncs.open import Terms, open_all, open_one

MAX_KEY = 128


class Idempotency(msgspec.Struct, frozen=True):
    """A client's idempotency key, and the fingerprint of its request."""

    key: str
    fingerprint: str


class Asking(msgspec.Struct, frozen=True):
    """The user of a request for syncs, the client's address, and the idempotency key if it has one."""

    user_id: UUID
    address: str | None
    idempotency: Idempotency | None = None


class Accepted(msgspec.Struct, frozen=True):
    """The sync or the batch of a request, and the rest of the user's limit.

    `replayed` is true if its idempotency key was used before; then the target is that of the first request.
    """

    target_id: UUID
    allowance: Allowance
    replayed: bool = False


class Requests:
    """Accepts requests for syncs; a refused request changes only counters."""

    def __init__(self, pool: Pool, relay: Relay, announcer: Announcer, terms: Terms, allowed: Limits) -> None:
        self._pool = pool
        self._relay = relay
        self._announcer = announcer
        self._terms = terms
        self._limits = allowed

    async def one(self, asking: Asking, account_id: UUID) -> Accepted:
        """Request a sync of one account.

        Raises NotFound, AccountPaused, RateLimitExceeded, InvalidInput and IdempotencyKeyReused. A request
        over the limit is not counted; all others are, even if refused.
        """
        async with self._counted(asking, self._limits.sync) as connection:
            accepted = await self._one(connection, asking, account_id)
        self._relay.wake()
        return accepted

    async def all(self, asking: Asking) -> Accepted:
        """Request a sync of every account; raises the errors of `one`."""
        async with self._counted(asking, self._limits.sync_all) as connection:
            accepted, refused = await self._all(connection, asking)
        self._relay.wake()
        for sync in refused:
            await self._announcer.ended(sync)
        return accepted

    @asynccontextmanager
    async def _counted(self, asking: Asking, policy: Policy) -> AsyncIterator[Connection]:
        """Yield a transaction that counts for the client's address last, because many wait for that row.

        A refused request rolls back its count with all other changes, so a separate transaction counts it.
        """
        of_address = self._limits.by_address(asking.address)
        try:
            async with self._pool.transaction() as connection:
                await look_for_room(connection, of_address)
                yield connection
                await admit(connection, of_address)
        except GatewayError as error:
            if not isinstance(error, RateLimitExceeded):
                async with self._pool.transaction() as connection:
                    await admit(connection, [(policy, str(asking.user_id)), *of_address])
            raise

    async def _one(self, connection: Connection, asking: Asking, account_id: UUID) -> Accepted:
        sync_id = uuid7()
        if await accounts.find_account(connection, asking.user_id, account_id) is None:
            raise NotFound
        accepted = await self._accepted(connection, asking, self._limits.sync, sync_id)
        if accepted.replayed:
            return accepted
        sync = await open_one(connection, self._terms, account_id, sync_id)
        if asking.idempotency is not None and sync.id != sync_id:
            await idempotency_keys.point(connection, asking.user_id, asking.idempotency.key, sync.id)
        return Accepted(sync.id, accepted.allowance)

    async def _all(self, connection: Connection, asking: Asking) -> tuple[Accepted, list[Sync]]:
        """Open a sync of every account; also returns the syncs that failed at once."""
        batch_id = uuid7()
        accepted = await self._accepted(connection, asking, self._limits.sync_all, batch_id)
        if accepted.replayed:
            return accepted, []
        opened = await open_all(connection, self._terms, asking.user_id)
        await batches.insert_batch(connection, batch_id, asking.user_id, [sync.id for sync in opened.syncs])
        return accepted, opened.refused

    async def _accepted(
        self, connection: Connection, asking: Asking, policy: Policy, target_id: UUID
    ) -> Accepted:
        """Count a new request; returns the earlier target of a repeated one.

        A repeated request counts under the policy `write`.
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
        """Claim the key; returns its earlier target if it was used before.

        Raises IdempotencyKeyReused for a different request, and InvalidInput for an invalid key.
        """
        key = idempotency.key
        if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
            raise InvalidInput(f"Idempotency-Key must be 1 to {MAX_KEY} printable characters.")
        earlier = await idempotency_keys.claim(connection, user_id, key, idempotency.fingerprint, target_id)
        if earlier is None:
            return None
        if earlier.fingerprint != idempotency.fingerprint:
            raise IdempotencyKeyReused
        return earlier.target_id
