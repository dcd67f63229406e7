"""The sweeper: publishes lost requests again and settles syncs past their deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.exchanges import EXCHANGES
from contracts.faults import Code
from gateway.outbox.relay import Relay
from gateway.rows.outbox import Outgoing
from gateway.rows.syncs import Held, Overdue, Sync
from gateway.store import accounts, outbox, publications, syncs
from gateway.store.background import attempt, repeat
from gateway.store.lately import find_lately
from gateway.store.pool import Connection, Pool, database_time
from gateway.store.sub_accounts import find_sources
from gateway.syncs.messages import failed_outcome, sync_grant, sync_request
from gateway.syncs.progress import Progress

LOST_BATCH = 100
# Grants are signed while the syncs are locked, so smaller batches hold locks for a shorter time.
OVERDUE_BATCH, OVERDUE_BATCHES = 250, 80
FORGET_BATCH = 500
BATCHES = 40
SWEEP_SECONDS = 5.0
# A worker may publish shortly after the deadline.
GRACE = timedelta(seconds=5)
# With a sweep every five seconds, every sync is settled within 60 seconds after its deadline.
LATEST_SECONDS = 53.0
# After the database was unavailable for longer than this, outcomes get 53 seconds from its return.
PAUSE_SECONDS = 15.0
# A settled sync that is still open after this time is settled again.
AGAIN_SECONDS = 60.0

log = structlog.get_logger()


class Patience(msgspec.Struct, frozen=True):
    """The deadline of a sync and the latest settlement after it, both in seconds.

    `why` returns the code of an overdue sync, because it may be overdue only by a wrong clock.
    """

    sync_deadline: float
    latest: float = LATEST_SECONDS
    why: Callable[[], Code] = lambda: Code.DEADLINE_EXCEEDED


class Sweeper:
    """Runs every five seconds; any number of sweepers may run at once."""

    def __init__(
        self, pool: Pool, relay: Relay, key: Ed25519PrivateKey, patience: Patience, progress: Progress
    ) -> None:
        self._pool = pool
        self._relay = relay
        self._key = key
        self._deadline = timedelta(seconds=patience.sync_deadline)
        self._latest = timedelta(seconds=patience.latest)
        self._progress = progress
        self._why = patience.why
        self._contact = time.monotonic()
        self._since: datetime | None = None
        self._swept: datetime | None = None
        self._unknown: list[str] = []

    async def run(self) -> None:
        """Sweep for ever."""
        await repeat("sweeping", self.sweep, asyncio.sleep, SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Run all parts of a sweep; they are idempotent, and a failed part does not stop the others."""
        await self._part("look", self._look())
        for exchange in EXCHANGES:
            await self._part("republish", self._republish_lost(exchange))
        await self._part("settle", self._settle_overdue())
        await self._part("name_unknown", self._name_unknown())
        await self._part("forget", self._forget())

    async def _part(self, name: str, part: Awaitable[None]) -> None:
        if await attempt("sweeping", part, part=name):
            self._contact = time.monotonic()

    async def _look(self) -> None:
        """Read the progress on the bus, and the start of this gateway's uninterrupted database access."""
        moment = await self._pool.single(database_time)
        if self._since is None or time.monotonic() - self._contact > PAUSE_SECONDS:
            self._since = moment
        self._swept = moment
        await self._progress.look(moment)

    async def _republish_lost(self, exchange: str) -> None:
        """Publish the lost requests of an exchange again, those of persons and of the schedule.

        After half of its time, a request is lost if its outcome is not among those waiting to be recorded.
        After three quarters, it counts as lost unless the bus reports it as waiting.
        """
        handled, latest = self._progress.handled, self._progress.latest
        for scheduled in (False, True):
            republish = partial(self._republish, exchange, scheduled=scheduled)
            if handled is not None and (queue := handled.of(exchange, scheduled=scheduled)) is not None:
                await republish(queue.surely, handled.moment - self._deadline / 2)
            if latest is not None and latest.answered(exchange, scheduled=scheduled):
                queue = latest.of(exchange, scheduled=scheduled)
                held = queue.probably if queue else Held(0, 0, latest.moment)
                await republish(held, latest.moment - self._deadline * 0.75)

    async def _republish(self, exchange: str, held: Held, silent_since: datetime, *, scheduled: bool) -> None:
        for _ in range(BATCHES):
            async with self._pool.transaction() as connection:
                lost = await publications.take_lost(
                    connection, exchange, held, silent_since, LOST_BATCH, scheduled=scheduled
                )
                requests = [await self._request(connection, sync) for sync in lost]
                await outbox.put_all(connection, [request for request in requests if request is not None])
            if lost:
                self._relay.wake()
            if len(lost) < LOST_BATCH:
                return

    async def _request(self, connection: Connection, sync: Sync) -> Outgoing | None:
        """Return the request of a sync; None if the account has no credential or is unreadable."""
        try:
            account = await accounts.find_account(connection, sync.user_id, sync.account_id)
            source = (await find_sources(connection, [sync.account_id])).get(sync.account_id)
            lately = await find_lately(connection, sync.account_id)
            request = sync_request(sync, account, self._key, lately, source=source) if account else None
        except (msgspec.ValidationError, ValueError) as error:
            log.error("sync_not_republished", sync_id=sync.id, error=type(error).__name__)
            return None
        if request is not None:
            log.warning("sync_republished", sync_id=sync.id, publication=sync.publications)
        return request

    async def _settle_overdue(self) -> None:
        """Write failed outcomes for syncs past their deadline."""
        over_at = self._settled_up_to()
        if over_at is None:
            return
        for _ in range(OVERDUE_BATCHES):
            async with self._pool.transaction() as connection:
                overdue = await syncs.take_overdue(
                    connection, list(EXCHANGES), over_at, AGAIN_SECONDS, OVERDUE_BATCH
                )
                await outbox.put_all(connection, [self._settlement(sync) for sync in overdue])
            for sync in overdue:
                log.warning("sync_overdue", sync_id=sync.id)
            if overdue:
                self._relay.wake()
            if len(overdue) < OVERDUE_BATCH:
                return

    def _settlement(self, sync: Overdue) -> Outgoing:
        grant = sync_grant(sync, sync.credential_id, self._key)
        return failed_outcome(sync, self._why(), sync.times, grant=grant)

    def _settled_up_to(self) -> datetime | None:
        """Return the time up to which deadlines are settled; None if none can be settled yet.

        A sync is settled when every outcome that arrived in time is recorded, at the latest 53 seconds after
        its deadline.
        """
        times = []
        if (handled := self._progress.handled) is not None:
            times.append(handled.moment - GRACE)
        if self._swept and self._since and self._swept - self._since >= self._latest:
            times.append(self._swept - self._latest)
        return max(times, default=None)

    async def _name_unknown(self) -> None:
        """Log, once per change, the exchanges of open syncs that only another gateway version knows."""
        find = partial(syncs.find_unknown, exchanges=list(EXCHANGES))
        unknown = sorted(await self._pool.single(find, waits=True))
        if unknown and unknown != self._unknown:
            log.warning("exchanges_unknown", exchanges=unknown)
        self._unknown = unknown

    async def _forget(self) -> None:
        """Delete the requests of ended syncs from the outbox in batches, so that locks are held briefly."""
        delete = publications.delete_requests_of_ended
        for _ in range(BATCHES):
            deleted = await self._pool.single(lambda one: delete(one, FORGET_BATCH), waits=True)
            if deleted < FORGET_BATCH:
                return
