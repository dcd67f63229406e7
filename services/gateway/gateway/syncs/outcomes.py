"""Handlers of bus messages about syncs: outcomes, and advisories about undelivered requests."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
import structlog

from chassis import metrics, tracing
from chassis.bus.delivery import Delivery, RetryLater
from contracts.faults import Code
from contracts.syncs import SyncOutcome
from contracts.wire.envelope import Malformed, decode
from contracts.wire.grants import Grant
from contracts.wire.key_files import SigningKeys
from gateway.outbox.relay import Relay
from gateway.portfolio.verdicts import unknown_wallets
from gateway.rows.outbox import Outgoing
from gateway.rows.syncs import Sync
from gateway.store import accounts, outbox, publications, syncs
from gateway.store.pool import Connection, DatabaseUnavailable, NotStorable, Pool
from gateway.syncs.announce import Announcer
from gateway.syncs.granted import Forged, granted
from gateway.syncs.messages import failed_outcome, sync_grant
from gateway.syncs.record import end_unrecorded
from gateway.syncs.recorder import Recorder

DATABASE_AWAY_DELAY = 5.0
EARLY_ADVISORIES, EARLY_DELAY = 2, 2.0

log = structlog.get_logger()


class MaxDeliveries(msgspec.Struct, frozen=True):
    """The part of a max-deliver or terminated advisory that names a message."""

    stream: str
    stream_seq: int


class Outcomes:
    """Handles outcomes, and the server's advisories about requests that it stopped delivering."""

    def __init__(
        self, pool: Pool, announcer: Announcer, relay: Relay, recorder: Recorder, keys: SigningKeys
    ) -> None:
        self._key, self._accepted = keys.current, keys.accepted
        self._pool = pool
        self._recorder = recorder
        self._announcer = announcer
        self._relay = relay

    async def on_sync_outcome(self, delivery: Delivery) -> None:
        """Record an outcome, then announce the end; an outcome after the sync's end is ignored."""
        claim = self._claimed(delivery)
        outcome: SyncOutcome = decode(delivery.body, SyncOutcome)
        grant = claim.grant if claim is not None else None
        metrics.OUTCOMES.labels("valid" if grant else "absent").inc()
        try:
            with tracing.span("record outcome", sync_id=outcome.sync_id) as span:
                sync = await self._recorder.record(outcome, grant)
                span.say(status=sync.status if sync is not None else "ended before")
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        except NotStorable as error:
            raise Malformed(f"the outcome can not be stored: {error}") from None
        if sync is None:
            log.info("outcome_ignored", sync_id=outcome.sync_id)
            await self._tell_again(outcome.sync_id)
            return
        await self._announcer.ended(sync, unknown_wallets(outcome))

    async def _tell_again(self, sync_id: UUID) -> None:
        """Announce the end of a sync that another outcome ended."""
        with suppress(DatabaseUnavailable):
            if await self._pool.single(lambda connection: syncs.ended(connection, [sync_id])):
                await self._announcer.ended_before(sync_id)

    async def on_buried(self, delivery: Delivery) -> None:
        """End the sync of an outcome that becomes a dead letter, if the outcome names a sync.

        The sync ends directly, not by another outcome, because the same cause might keep that from being
        recorded. An outcome with a forged grant ends no sync, because the sync still gets its real outcome.
        """
        with suppress(Forged):
            if (claim := self._claimed(delivery)) is None:
                return
            try:
                sync = await end_unrecorded(self._pool, claim.sync_id, claim.grant)
            except DatabaseUnavailable as error:
                raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
            if sync is None:
                await self._tell_again(claim.sync_id)
            else:
                self._relay.wake()
                await self._announcer.ended(sync)

    def _claimed(self, delivery: Delivery) -> "_Claim | None":
        """Return the sync and the grant of a message; None if it names no sync; raises Forged.

        An unreadable body names no sync and has no grant; then the message id names the sync.
        """
        said = _Said()
        with suppress(Malformed):
            said = decode(delivery.body, _Said)
        sync_id = _id_of(said.sync_id) or _id_of(delivery.message_id.partition(":")[0])
        if sync_id is None:
            return None
        try:
            return _Claim(sync_id, granted(said.grant, sync_id, self._accepted))
        except Forged:
            metrics.OUTCOMES.labels("forged").inc()
            raise

    async def on_advisory(self, delivery: Delivery) -> None:
        """Settle the sync whose request the server stopped delivering."""
        try:
            advisory: MaxDeliveries = decode(delivery.body, MaxDeliveries)
        except Malformed:
            return
        if advisory.stream != "SYNC_REQUESTS":
            return
        try:
            async with self._pool.transaction() as connection:
                sync = await publications.find_by_request_seq(connection, advisory.stream_seq)
                if sync is not None:
                    await outbox.put(connection, await self._given_up(connection, sync))
        except DatabaseUnavailable as error:
            raise RetryLater(DATABASE_AWAY_DELAY, str(error)) from None
        except NotStorable as error:
            raise Malformed(f"the advisory can not be looked up: {error}") from None
        if sync is None and delivery.attempt <= EARLY_ADVISORIES:
            raise RetryLater(EARLY_DELAY, "the relay may not have written down the place of the request yet")
        self._relay.wake()

    async def _given_up(self, connection: Connection, sync: Sync) -> Outgoing:
        """Return the outcome that settles a sync whose request reached its maximum of deliveries."""
        account = await accounts.find_account(connection, sync.user_id, sync.account_id)
        grant = sync_grant(sync, account.credential_id if account else None, self._key)
        return failed_outcome(sync, Code.INTERNAL_ERROR, grant=grant)


class _Said(msgspec.Struct, frozen=True):
    """The sync and the grant of an outcome, decoded even if the rest is unreadable."""

    sync_id: Any = None
    grant: Any = None


class _Claim(msgspec.Struct, frozen=True):
    """The sync of an outcome, and its grant if it has one."""

    sync_id: UUID
    grant: Grant | None


def _id_of(text: object) -> UUID | None:
    with suppress(ValueError):
        return UUID(text) if isinstance(text, str) else None
    return None
