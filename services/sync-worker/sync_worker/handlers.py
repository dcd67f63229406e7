"""The worker's handlers on the bus: run a sync, and verify a credential."""

import asyncio
import random
import time
from collections.abc import Mapping

import msgspec
import structlog

from chassis import tracing
from chassis.bus.connection import Bus
from chassis.bus.consume import consume
from chassis.bus.delivery import Delivery, RetryLater
from chassis.bus.respond import respond
from contracts import subjects
from contracts.credentials import Verified, VerifiedRights, Verify
from contracts.faults import Code, Failure, failure
from contracts.syncs import READ, SyncFailed, SyncOutcome, SyncRequested, SyncWaiting
from contracts.wire.envelope import Malformed, attributes, decode, encode
from contracts.wire.grants import grant_mark
from contracts.wire.outcomes import apart
from contracts.wire.topology import scheduled_consumer, sync_worker_consumer
from sync_worker.broker import Access
from sync_worker.budgets.order import Order, Turn, in_turn
from sync_worker.errors import ClocksDisagree, ExchangeTimeout
from sync_worker.exchanges.types import Connector
from sync_worker.outages import Outages
from sync_worker.sync import (
    Attempt,
    Reading,
    meets_outage,
    next_try,
    nothing_read,
    outcome,
    waits_for,
    waits_seconds,
)
from sync_worker.timing import Left, Timing

QUEUE = "sync-worker"
SYNCS_AT_ONCE = 256
# The rest of the worker's time is for requests of persons.
SCHEDULED_AT_ONCE = 64
VERIFICATIONS_AT_ONCE = 64
# Less than the bus waits for handlers during shutdown, so that no try is cut off.
TRY_SECONDS = 22.0
# Reserved, so that one hanging call cannot discard the data of the others.
LAST_WORD_SECONDS = 0.5
VERIFY_SECONDS = 12.0

log = structlog.get_logger()


class Handlers:
    """Handles requests for the exchanges in `exchanges`, within the time that `timing` returns."""

    def __init__(self, bus: Bus, exchanges: Mapping[str, Connector], timing: Timing) -> None:
        self._bus = bus
        self._exchanges = exchanges
        self._timing = timing
        self._outages = Outages()

    def declare(self) -> None:
        """Consume the sync requests of each exchange and reply to its verifications."""
        for key in self._exchanges:
            consume(self._bus, sync_worker_consumer(key), self.run_sync, SYNCS_AT_ONCE)
            consume(self._bus, scheduled_consumer(key), self.run_sync, SCHEDULED_AT_ONCE)
            respond(self._bus, subjects.verify(key), QUEUE, self.verify_credential, VERIFICATIONS_AT_ONCE)

    async def run_sync(self, delivery: Delivery) -> None:
        """Read an account's wallets and publish the outcome, or raise RetryLater."""
        started = time.monotonic()
        request: SyncRequested = decode(delivery.body, SyncRequested)
        exchange = self._exchange(request.exchange)
        with tracing.span(
            "sync account",
            sync_id=request.sync_id,
            account_id=request.account_id,
            exchange=exchange.exchange.key,
            attempt=delivery.attempt,
        ) as span:
            left = await self._timing.left(request, delivery)
            ends = started + left.seconds
            with in_turn(_turn(delivery)):
                reading = await self._try(exchange, request, left)
            await self._try_later(request, reading, delivery, ends - time.monotonic())
            said = outcome(request, exchange.exchange, reading, delivery.attempt)
            span.say(status=said.status)
            await self._publish(said)
        self._outages.forget(delivery.message_id)
        _report(said, reading.rights_code, time.monotonic() - started)

    async def verify_credential(self, body: bytes) -> Verified | VerifiedRights:
        """Read the owner and the rights of a credential; raises Failure, which becomes a refusal."""
        request: Verify = decode(body, Verify)
        exchange = self._exchange(request.exchange)
        try:
            async with asyncio.timeout(VERIFY_SECONDS):
                with in_turn(Turn(Order.VERIFY, time.monotonic())):
                    return await _verified(exchange, request)
        except TimeoutError:
            raise ExchangeTimeout("We could not verify the key in time.") from None

    async def _try(self, exchange: Connector, request: SyncRequested, left: Left) -> Reading:
        """Read the wallets once; a fault of the whole try becomes the fault of each wallet."""
        seconds = min(TRY_SECONDS, left.seconds)
        if left.impossible:
            return nothing_read(exchange.exchange, ClocksDisagree(left.impossible))
        if seconds <= 0:
            return nothing_read(exchange.exchange, failure(Code.DEADLINE_EXCEEDED))
        try:
            async with asyncio.timeout(seconds):
                return await exchange.read_wallets(_access(request, seconds))
        except TimeoutError:
            return nothing_read(exchange.exchange, ExchangeTimeout("We could not read all of it in time."))
        except Failure as fault:
            return nothing_read(exchange.exchange, fault)

    async def _try_later(
        self, request: SyncRequested, reading: Reading, delivery: Delivery, left: float
    ) -> None:
        """Raise RetryLater if another try could read more before the deadline."""
        attempt = Attempt(delivery.attempt, self._outages.of(delivery.message_id))
        delay = next_try(reading, attempt, left, random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
        if delay is None:
            return
        if meets_outage(reading):
            self._outages.add(delivery.message_id)
        faults = [*(read.error_code for read in reading.wallets), reading.rights_code]
        codes = sorted({str(code) for code in faults if code})
        log.debug("trying_later", sync_id=request.sync_id, attempt=delivery.attempt, codes=codes, delay=delay)
        if (cause := waits_for(reading)) is not None:
            waiting = SyncWaiting(request.sync_id, cause, waits_seconds(reading, delay))
            await self._announce(request.exchange, waiting)
        raise RetryLater(delay, ", ".join(codes))

    async def _announce(self, exchange: str, said: SyncWaiting) -> None:
        """Tell the gateways that a sync waits for its exchange; they may miss it."""
        headers = attributes(said, self._bus.service)
        await self._bus.announce(subjects.sync_waiting(exchange), encode(said), headers)

    async def _publish(self, said: SyncOutcome) -> None:
        """Publish an outcome; raises BusUnavailable, after which the request is redelivered."""
        name = subjects.sync_failed if isinstance(said, SyncFailed) else subjects.sync_completed
        message_id = f"{said.sync_id}:outcome:{grant_mark(said.grant)}"
        headers = attributes(said, self._bus.service, message_id)
        await self._bus.publish(
            name(said.exchange), "SYNC_OUTCOMES", encode(apart(said)), message_id, headers
        )

    def _exchange(self, key: str) -> Connector:
        """Find an exchange; raises Malformed for one that this worker does not serve."""
        exchange = self._exchanges.get(key)
        if exchange is None:
            raise Malformed("the exchange is not served here")
        return exchange


async def _verified(exchange: Connector, request: Verify) -> Verified | VerifiedRights:
    if not request.rights_only:
        return await exchange.verify(_access(request, VERIFY_SECONDS))
    rights = await exchange.read_rights(_access(request, VERIFY_SECONDS))
    return VerifiedRights(rights.exchange_uid, rights.permissions, rights.key)


def _turn(delivery: Delivery) -> Turn:
    """Return the place of a sync: a person's before the schedule's, and of these the older one first."""
    scheduled = subjects.is_scheduled(delivery.subject)
    stored = delivery.stored_at
    return Turn(Order.SCHEDULED if scheduled else Order.PERSON, stored.timestamp() if stored else 0.0)


def _access(request: SyncRequested | Verify, seconds: float) -> Access:
    ends = time.monotonic() + seconds - LAST_WORD_SECONDS
    access = Access(request.credential_id, request.exchange, request.region, request.grant, ends)
    if isinstance(request, Verify):
        return access
    return msgspec.structs.replace(
        access,
        lately_empty=frozenset(request.lately_empty),
        lately_refused=frozenset(request.lately_refused),
        sub_account=request.sub_account,
        list_sub_accounts=request.list_sub_accounts,
    )


def _report(said: SyncOutcome, rights_code: str | None, seconds: float) -> None:
    """Log one line for an outcome; `rights_code` is the reason why no rights were read."""
    log.info(
        "sync_ended",
        sync_id=said.sync_id,
        account_id=said.account_id,
        exchange=said.exchange,
        attempt=said.attempt,
        status=said.status,
        verdicts={read.wallet: str(read.error_code or read.verdict) for read in said.wallets},
        **({"rights": str(rights_code)} if rights_code else {}),
        **_told(said),
        seconds=round(seconds, 3),
    )


def _told(said: SyncOutcome) -> dict[str, dict[str, str]]:
    """Return by wallet the exchange's code, the read that it answered with it, and the error text.

    Leaves out the texts of wallets that were read, because they may hold amounts.
    """
    unread = [read for read in said.wallets if read.verdict not in READ]
    fields = {
        "exchange_code": {read.wallet: read.exchange_code for read in said.wallets if read.exchange_code},
        "endpoint": {read.wallet: read.endpoint for read in said.wallets if read.endpoint},
        "words": {read.wallet: read.error for read in unread if read.error},
    }
    return {name: by_wallet for name, by_wallet in fields.items() if by_wallet}
