"""Users' requests for syncs: within rate limits, and once per idempotency key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from contracts.streams import SYNC_REQUESTS
from gateway.errors import GatewayError, IdempotencyKeyReused, InvalidInput, NotFound, RateLimitExceeded
from gateway.limits import Allowance, Charge, Limits, Policy
from gateway.outbox.relay import Relay
from gateway.quotas import admit, look_for_room, require_room
from gateway.rows.accounts import Asked
from gateway.rows.outbox import Outgoing
from gateway.rows.syncs import Opening, Sync
from gateway.store import accounts, batches, limits, opening
from gateway.store import idempotency as idempotency_keys
from gateway.store.pool import Connection, Pool
from gateway.syncs.announce import Announcer
from gateway.syncs.messages import sync_request
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
    `opened` is true for a sync that this request has opened.
    """

    target_id: UUID
    allowance: Allowance
    replayed: bool = False
    opened: bool = False


class _Request(msgspec.Struct, frozen=True):
    """The request of a new sync, its id in the outbox, and the time until the sync's deadline."""

    message: Outgoing
    row: int
    seconds_left: float


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
        with self._relay.slots(SYNC_REQUESTS, 1) as slots:
            async with self._counted(asking, self._limits.sync), self._pool.transaction() as connection:
                accepted, request = await self._one(connection, asking, account_id, slots.lease)
            if request is not None and slots.left:
                slots.hand_over(request.message, request.row, request.seconds_left)
            else:
                self._relay.wake()
        return accepted

    async def all(self, asking: Asking) -> Accepted:
        """Request a sync of every account; raises the errors of `one`."""
        of_address = self._limits.by_address(asking.address)
        async with self._counted(asking, self._limits.sync_all), self._pool.transaction() as connection:
            await look_for_room(connection, of_address)
            accepted, refused = await self._all(connection, asking)
            await admit(connection, of_address)  # last, because many wait for that row
        self._relay.wake()
        for sync in refused:
            await self._announcer.ended(sync)
        return accepted

    @asynccontextmanager
    async def _counted(self, asking: Asking, policy: Policy) -> AsyncIterator[None]:
        """Count a request that is refused, in a transaction of its own: its own one rolls back."""
        try:
            yield
        except RateLimitExceeded:
            raise
        except GatewayError:
            async with self._pool.transaction() as connection:
                of_user = (policy, str(asking.user_id))
                await admit(connection, [of_user, *self._limits.by_address(asking.address)])
            raise

    async def _one(
        self, connection: Connection, asking: Asking, account_id: UUID, lease: float
    ) -> tuple[Accepted, "_Request | None"]:
        """Open a sync with two statements, or join the open one; also returns the request of a new sync."""
        sync_id, (of_address,) = uuid7(), self._limits.by_address(asking.address)
        if asking.idempotency is not None:
            await look_for_room(connection, [of_address])
            if await accounts.find_account(connection, asking.user_id, account_id) is None:
                raise NotFound
            if (earlier := await self._repeated(connection, asking, self._limits.sync, sync_id)) is not None:
                await admit(connection, [of_address])
                return earlier, None
        asked, allowance = await self._asked(connection, asking, account_id, of_address)
        deadline = asked.now + timedelta(seconds=self._terms.deadline_seconds)
        sync = Opening(sync_id, asking.user_id, account_id, asked.credential_id, asked.exchange, deadline)
        request = sync_request(sync, asked, self._terms.key)
        if request is not None and not (asked.paused or asked.exchange_paused):
            written = await opening.write(connection, sync, request, of_address, lease)
            require_room(Allowance(of_address[0], written.used, written.seconds))
            if written.outbox_id is not None:
                handed = _Request(request, written.outbox_id, written.seconds_left)
                return Accepted(sync_id, allowance, opened=True), handed
        else:
            await admit(connection, [of_address])
        joined = await open_one(connection, self._terms, account_id, sync_id)
        if asking.idempotency is not None and joined.id != sync_id:
            await idempotency_keys.point(connection, asking.user_id, asking.idempotency.key, joined.id)
        return Accepted(joined.id, allowance), None

    async def _asked(
        self, connection: Connection, asking: Asking, account_id: UUID, of_address: Charge
    ) -> tuple[Asked, Allowance]:
        """Count a request for its user and lock the account; raises RateLimitExceeded and NotFound."""
        of_user = (self._limits.sync, str(asking.user_id))
        asked = await opening.ask(connection, asking.user_id, account_id, of_user, of_address)
        if asked is None or asked.address_used >= of_address[0].quota:
            await look_for_room(connection, [of_address])  # the address's window may have ended meanwhile
        if asked is None:
            raise NotFound
        allowance = Allowance(self._limits.sync, asked.used, asked.seconds)
        require_room(allowance)
        return asked, allowance

    async def _all(self, connection: Connection, asking: Asking) -> tuple[Accepted, list[Sync]]:
        """Open a sync of every account; also returns the syncs that failed at once."""
        batch_id = uuid7()
        if (earlier := await self._repeated(connection, asking, self._limits.sync_all, batch_id)) is not None:
            return earlier, []
        (allowance,) = await admit(connection, [(self._limits.sync_all, str(asking.user_id))])
        opened = await open_all(connection, self._terms, asking.user_id)
        await batches.insert_batch(connection, batch_id, asking.user_id, [sync.id for sync in opened.syncs])
        return Accepted(batch_id, allowance), opened.refused

    async def _repeated(
        self, connection: Connection, asking: Asking, policy: Policy, target_id: UUID
    ) -> Accepted | None:
        """Return the earlier target of a repeated request, which counts under the policy `write`.

        None for a request without an idempotency key, or with a new one, which is kept with the target.
        """
        if asking.idempotency is None:
            return None
        earlier = await self._claimed(connection, asking.user_id, asking.idempotency, target_id)
        if earlier is None:
            return None
        await admit(connection, [(self._limits.write, str(asking.user_id))])
        left = await limits.look(connection, policy, str(asking.user_id))
        return Accepted(earlier, left, replayed=True)

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
