"""The sweeper: publishes lost requests again and settles syncs that are over their deadline."""

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
from gateway.store import accounts, idempotency, limits, logins, networks, outbox, syncs, users
from gateway.store.outbox import Outgoing
from gateway.store.pool import Connection, DatabaseUnavailable, Pool, database_time
from gateway.store.syncs import Held, Overdue, Sync
from gateway.syncs.messages import failed_outcome, sync_grant, sync_request
from gateway.syncs.progress import Progress

LOST_BATCH = 100
# Each is granted while it is locked: smaller batches hold their locks for a shorter time.
OVERDUE_BATCH, OVERDUE_BATCHES = 250, 80
FORGET_BATCH = 500
BATCHES = 40
SWEEP_SECONDS = 5.0
# After its deadline a worker may still be about to publish.
GRACE = timedelta(seconds=5)
# With a sweep every five seconds a sync is settled within 60 seconds after its deadline, come what may.
LATEST_SECONDS = 53.0
# When the database was away longer than this, the outcomes of that time get the same 53 seconds.
PAUSE_SECONDS = 15.0
# What was settled and is still open after that is settled again.
AGAIN_SECONDS = 60.0

Delete = Callable[[Connection, int], Awaitable[int]]
FORGET: tuple[Delete, ...] = (
    users.delete_expired_families,
    idempotency.delete_old,
    syncs.delete_old_settlements,
    syncs.delete_requests_of_ended,
    limits.delete_over,
    logins.delete_old,
    networks.delete_old,
)

log = structlog.get_logger()


class Patience(msgspec.Struct, frozen=True):
    """How long a sync may take, and how long after that it waits for outcomes to be recorded, in seconds.

    `why` gives the code of what is over then: it may not be over but by a wrong clock.
    """

    sync_deadline: float
    latest: float = LATEST_SECONDS
    why: Callable[[], Code] = lambda: Code.DEADLINE_EXCEEDED


class Sweeper:
    """Runs every five seconds; any number of them may run at once."""

    def __init__(
        self,
        pool: Pool,
        relay: Relay,
        key: Ed25519PrivateKey,
        patience: Patience,
        progress: Progress,
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
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.sweep()

    async def sweep(self) -> None:
        """Do all that is due; doing it again is harmless, and trouble with one part stops no other."""
        await self._part("look", self._look)
        for exchange in EXCHANGES:
            await self._part("republish", partial(self._republish_lost, exchange))
        await self._part("settle", self._settle_overdue)
        await self._part("name_unknown", self._name_unknown)
        for delete in FORGET:
            await self._part("forget", partial(self._forget, delete))

    async def _part(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        try:
            await part()
            self._contact = time.monotonic()
        except DatabaseUnavailable as error:
            log.warning("sweeper_waits", part=name, reason=str(error))
        except Exception:
            log.exception("sweeping_failed", part=name)

    async def _look(self) -> None:
        """Look how far the bus is, and note since when this gateway has had its database without a pause."""
        async with self._pool.transaction() as connection:
            moment = await database_time(connection)
        if self._since is None or time.monotonic() - self._contact > PAUSE_SECONDS:
            self._since = moment
        self._swept = moment
        await self._progress.look(moment)

    async def _republish_lost(self, exchange: str) -> None:
        """Publish again what the bus has lost of an exchange.

        After half of its time a request whose outcome can not be among those that wait to be recorded; after
        three quarters one that may be lost for all that the bus says or refuses to say.
        """
        handled, latest = self._progress.handled, self._progress.latest
        if handled is not None and (queue := handled.queues.get(exchange)) is not None:
            await self._republish(exchange, queue.surely, handled.moment - self._deadline / 2)
        if latest is not None and exchange in latest.queues:
            queue = latest.queues[exchange]
            held = queue.probably if queue else Held(0, 0, latest.moment)
            await self._republish(exchange, held, latest.moment - self._deadline * 0.75)

    async def _republish(self, exchange: str, held: Held, silent_since: datetime) -> None:
        for _ in range(BATCHES):
            async with self._pool.transaction() as connection:
                lost = await syncs.take_lost(connection, exchange, held, silent_since, LOST_BATCH)
                requests = [await self._request(connection, sync) for sync in lost]
                await outbox.put_all(connection, [request for request in requests if request is not None])
            if lost:
                self._relay.wake()
            if len(lost) < LOST_BATCH:
                return

    async def _request(self, connection: Connection, sync: Sync) -> Outgoing | None:
        """Make the request of a sync; None when the account has no credential or can not be understood."""
        try:
            account = await accounts.find_account(connection, sync.user_id, sync.account_id)
            request = sync_request(sync, account, self._key) if account else None
        except (msgspec.ValidationError, ValueError) as error:
            log.error("sync_not_republished", sync_id=sync.id, error=type(error).__name__)
            return None
        if request is not None:
            log.warning("sync_republished", sync_id=sync.id, publication=sync.publications)
        return request

    async def _settle_overdue(self) -> None:
        """Let syncs whose deadline is over end as a worker would end them."""
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
        """Tell which deadlines are to be settled: those before the time given.

        That is when every outcome that came in time is recorded, and 53 seconds after the deadline anyway.
        """
        times = []
        if (handled := self._progress.handled) is not None:
            times.append(handled.moment - GRACE)
        if self._swept and self._since and self._swept - self._since >= self._latest:
            times.append(self._swept - self._latest)
        return max(times, default=None)

    async def _name_unknown(self) -> None:
        """Say which open syncs are left to a gateway of another version, once for each change."""
        async with self._pool.transaction() as connection:
            unknown = sorted(await syncs.find_unknown(connection, list(EXCHANGES)))
        if unknown and unknown != self._unknown:
            log.warning("exchanges_unknown", exchanges=unknown)
        self._unknown = unknown

    async def _forget(self, delete: Delete) -> None:
        """Delete what is over, in batches that hold no lock for long."""
        for _ in range(BATCHES):
            async with self._pool.transaction() as connection:
                deleted = await delete(connection, FORGET_BATCH)
            if deleted < FORGET_BATCH:
                return
