"""Users' requests for syncs: within rate limits, and once per idempotency key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from contracts.streams import SYNC_REQUESTS
from gateway.errors import GatewayError, IdempotencyKeyReused, InvalidInput, NotFound, RateLimitExceeded
from gateway.limits import Allowance, Limits, Policy
from gateway.outbox.relay import Relay
from gateway.quotas import admit, look_for_room
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
    """The user of a request for syncs, the client's address, and the idempotency key if it has one.

    With `fresh`, no sync of a moment before answers it.
    """

    user_id: UUID
    address: str | None
    idempotency: Idempotency | None = None
    fresh: bool = False


class Accepted(msgspec.Struct, frozen=True):
    """The sync or the batch of a request, and the rest of the user's limit.

    `replayed` is true if its idempotency key was used before; then the target is that of the first request.
    `opened` is true for a sync that this request has opened, `cached` for one that had completed before.
    """

    target_id: UUID
    allowance: Allowance
    replayed: bool = False
    opened: bool = False
    cached: bool = False


class _Wanted(msgspec.Struct, frozen=True):
    """A request for the sync of one account: the sync's id, and the lease for its message."""

    asking: Asking
    account_id: UUID
    sync_id: UUID
    lease: float


class _Opened(msgspec.Struct, frozen=True):
    """An opened sync, its request with the request's id in the outbox, and the time until its deadline."""

    accepted: Accepted
    message: Outgoing
    row: int
    seconds_left: float


class _Found(msgspec.Struct, frozen=True):
    """The sync that answers a request, and whether it had completed before."""

    id: UUID
    cached: bool = False


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
            wanted = _Wanted(asking, account_id, uuid7(), slots.lease)
            opened = None
            if asking.idempotency is None:
                opened = await self._pool.single(partial(self._open, wanted=wanted), waits=True)
            if opened is not None:
                accepted = opened.accepted
            else:
                async with self._counted(asking, self._limits.sync), self._pool.transaction() as connection:
                    accepted, opened = await self._one(connection, wanted)
            if opened is not None and slots.left:
                slots.hand_over(opened.message, opened.row, opened.seconds_left)
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

    async def _open(self, connection: Connection, wanted: "_Wanted") -> "_Opened | None":
        """Open a sync with two statements, the usual case; None, and nothing is written, in all others."""
        user_id, (of_address,) = wanted.asking.user_id, self._limits.by_address(wanted.asking.address)
        asked = await self._look(connection, wanted)
        if asked is None or asked.cached is not None:
            return None
        deadline = asked.now + timedelta(seconds=self._terms.deadline_seconds)
        named = (wanted.sync_id, user_id, asked.id, asked.credential_id, asked.exchange)
        sync = Opening(*named, deadline)
        request = sync_request(sync, asked, self._terms.key, asked.lately, source=asked.source)
        if request is None:
            return None
        of_user = (self._limits.sync, str(user_id))
        written = await opening.write(connection, sync, request, (of_user, of_address), wanted.lease)
        if written is None:
            return None
        allowance = Allowance(self._limits.sync, written.used, written.seconds)
        accepted = Accepted(sync.id, allowance, opened=True)
        return _Opened(accepted, request, written.outbox_id, written.seconds_left)

    async def _one(self, connection: Connection, wanted: "_Wanted") -> "tuple[Accepted, _Opened | None]":
        """Open a sync or join the open one, with the exact error of a refusal."""
        asking, account_id = wanted.asking, wanted.account_id
        of_address = self._limits.by_address(asking.address)
        await look_for_room(connection, of_address)
        if asking.idempotency is not None:
            if await accounts.find_account(connection, asking.user_id, account_id) is None:
                raise NotFound
            earlier = await self._repeated(connection, asking, self._limits.sync, wanted.sync_id)
            if earlier is not None:
                await admit(connection, of_address)
                return earlier, None
            if (opened := await self._open(connection, wanted)) is not None:
                return opened.accepted, opened
        (allowance,) = await admit(connection, [(self._limits.sync, str(asking.user_id))])
        found = await self._found_or_opened(connection, wanted)
        if asking.idempotency is not None and found.id != wanted.sync_id:
            await idempotency_keys.point(connection, asking.user_id, asking.idempotency.key, found.id)
        await admit(connection, of_address)  # last, because many wait for that row
        opened_now = found.id == wanted.sync_id
        return Accepted(found.id, allowance, opened=opened_now, cached=found.cached), None

    async def _look(self, connection: Connection, wanted: "_Wanted") -> Asked | None:
        asking = wanted.asking
        cache_seconds = 0.0 if asking.fresh else self._terms.cache_seconds
        return await opening.look(connection, asking.user_id, wanted.account_id, cache_seconds)

    async def _found_or_opened(self, connection: Connection, wanted: "_Wanted") -> "_Found":
        """Find the completed or open sync that answers a request, or open one."""
        asked = await self._look(connection, wanted)
        if asked is None:
            raise NotFound
        if asked.cached is not None:
            return _Found(asked.cached, cached=True)
        joined = await open_one(connection, self._terms, wanted.account_id, wanted.sync_id)
        return _Found(joined.id)

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
