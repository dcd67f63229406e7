"""Read an exchange with signed requests: authorized, sent as signed, timed and counted."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from chassis import metrics, tracing
from chassis.clocks import Clocks
from contracts.credentials import SignedRead
from contracts.exchanges.types import OWN, Exchange, Read
from contracts.faults import Code, Failure, failure
from contracts.values import Secret
from sync_worker.broker import Access, Broker
from sync_worker.budgets.governor import Call, Governor, ungoverned
from sync_worker.budgets.order import FIRST, in_turn
from sync_worker.errors import ClocksDisagree, ExchangeTimeout, ExchangeUnreachable, SignedTooLongAgo
from sync_worker.exchanges.clock import ExchangeClock, Measurement
from sync_worker.exchanges.connections import Shared
from sync_worker.exchanges.http import CALL_SECONDS, Answer, Https
from sync_worker.settings import Settings
from sync_worker.verdicts import Fetched

# No passphrase is shorter, and hardly any error code is longer.
LEAST_OF_A_SECRET = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that connectors use: HTTP, the vault-broker, clocks, settings and the governor of calls."""

    https: Https
    broker: Broker
    clocks: Clocks
    settings: Settings
    governor: Governor = field(default_factory=ungoverned)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The rules for reading one exchange.

    `time` is its public read of the clock; `time_of` returns milliseconds since the epoch from its data.
    `data_of` returns the data of a response, given the read's name, the region and the values sent.
    `again_in` returns the seconds after which to send a failed read once more with the same signature, None
    for never. `used_of` returns the weights that our address has used of budgets, as far as the response to
    a read says so. `time_of` and `data_of` raise Failure.
    """

    time: SignedRead
    time_of: Callable[[Any], int]
    data_of: Callable[[Answer, str, str, Collection[Secret]], Any]
    again_in: Callable[[str, Failure], float | None] = lambda _name, _fault: None
    used_of: Callable[[Answer, str], Mapping[str, int]] | None = None


# The time that a request needs within a try, besides the wait before it.
CALL_NEEDS_SECONDS = 0.9
# A read does not wait longer for the response to the one before it on its connection.
STALL_SECONDS = 1.0
# Servers close with their last response. The read is sent again alone if this takes longer.
CLOSE_SECONDS = 1.0
# With less time for a try, reads do not share connections.
PAIR_SECONDS = STALL_SECONDS + CLOSE_SECONDS + 2 * CALL_NEEDS_SECONDS
# The connections of a sync at once; a read that does not wait for the one before it adds one.
PAIRS_AT_ONCE, READS_AT_ONCE = 2, 4
# How often reads are signed anew if their turn comes too late, and the wait after that.
MAX_ANEW, LATE_SECONDS = 2, 2.0


class Reader:
    """Reads one exchange; if it refuses the time, the reader measures it again, once."""

    def __init__(self, parts: Parts, exchange: Exchange, dialect: Dialect) -> None:
        self._parts = parts
        self._exchange = exchange
        self._dialect = dialect
        self._origins = parts.settings.origins[exchange.key]
        self._clock = ExchangeClock(self._ask_time, time.monotonic)

    async def read(
        self, access: Access, reads: Sequence[Read], apart: float = 0.0
    ) -> list[Fetched | Failure]:
        """Have reads signed, send them on half as many connections, and return the data or failure of each.

        With `apart` they go one after the other instead, each after so many seconds. Raises Failure if no
        read could be sent.
        """
        hosts = self._origins.get(access.region)
        if hosts is None:
            raise failure(Code.INVALID_REQUEST, f"{self._exchange.name} has no such region.")
        origin = hosts[OWN]
        measurement = await self._clock.measurement(origin)
        results = await self._read_at(measurement, access, hosts, reads, apart)
        refused = any(isinstance(each, Failure) and each.code == Code.CLOCK_DISAGREES for each in results)
        if refused and self._clock.doubt(origin, measurement):
            measurement = await self._clock.measurement(origin)
            results = await self._read_at(measurement, access, hosts, reads, apart)
        for each in results:
            if isinstance(each, ClocksDisagree):
                raise each
        return results

    async def read_more(
        self, access: Access, reads: Sequence[Read], apart: float = 0.0
    ) -> list[Fetched | Failure]:
        """Read in the time that is left for the try; a fault of all of them counts for each."""
        try:
            async with asyncio.timeout(access.ends - time.monotonic()):
                return await self.read(access, reads, apart)
        except TimeoutError:
            return [ExchangeTimeout("We could not read all of it in time.") for _ in reads]
        except Failure as fault:
            return [fault for _ in reads]

    async def _read_at(
        self,
        measurement: Measurement,
        access: Access,
        hosts: Mapping[str, str],
        reads: Sequence[Read],
        apart: float,
    ) -> list[Fetched | Failure]:
        """Have reads signed and send them; a read whose turn comes too late is signed anew."""
        results = await self._read_once(measurement, access, hosts, reads, apart)
        for _ in range(MAX_ANEW):
            late = [number for number, each in enumerate(results) if isinstance(each, SignedTooLongAgo)]
            if not late or access.ends - time.monotonic() < CALL_NEEDS_SECONDS:
                break
            again = [reads[number] for number in late]
            anew = await self._read_once(measurement, access, hosts, again, apart)
            for number, each in zip(late, anew, strict=True):
                results[number] = each
        return results

    async def _read_once(
        self,
        measurement: Measurement,
        access: Access,
        hosts: Mapping[str, str],
        reads: Sequence[Read],
        apart: float,
    ) -> list[Fetched | Failure]:
        left = access.ends - time.monotonic()
        await self._parts.governor.require(self._exchange.key, [read.name for read in reads], left)
        try:
            until = time.monotonic() + self._exchange.signed_seconds
            signed = await self._parts.broker.authorize(access, reads, self._clock.now_ms(measurement))
            access = msgspec.structs.replace(access, signed_until=until)
        except Failure as fault:
            return [fault for _ in reads]
        if apart:
            return [await self._read_later(access, hosts[read.host], read, apart) for read in signed]
        in_time = access.ends - time.monotonic() > PAIR_SECONDS
        shareable = {host for host in hosts if in_time and self._parts.https.shares(hosts[host])}
        pairs = paired(signed, shareable)
        places = asyncio.Semaphore(PAIRS_AT_ONCE if len(pairs) < len(signed) else READS_AT_ONCE)

        async def in_turn(pair: Sequence[SignedRead]) -> list[Fetched | Failure]:
            async with places:
                return await self._read_pair(access, hosts, pair)

        read = await asyncio.gather(*map(in_turn, pairs))
        # The first reads of the pairs are the first half, in order, and the second ones follow them.
        return [each[0] for each in read] + [each[1] for each in read if len(each) > 1]

    async def _read_later(
        self, access: Access, origin: str, read: SignedRead, seconds: float
    ) -> Fetched | Failure:
        await asyncio.sleep(max(0.0, min(seconds, access.ends - time.monotonic())))
        return await self._fetch(access, origin, read)

    async def _read_pair(
        self, access: Access, hosts: Mapping[str, str], reads: Sequence[SignedRead]
    ) -> list[Fetched | Failure]:
        """Fetch a read, or two on one connection, the second after the first or when that stalls."""
        origin, first, rest = hosts[reads[0].host], reads[0], reads[1:]
        if not rest:
            return [await self._fetch(access, origin, first)]
        with Shared() as shared:
            earlier = asyncio.create_task(self._fetch(access, origin, first, shared))
            try:
                await asyncio.wait({earlier}, timeout=STALL_SECONDS)
                later = await self._fetch(access, origin, rest[0], shared if earlier.done() else None)
                return [await earlier, later]
            finally:
                earlier.cancel()

    async def _fetch(
        self, access: Access, origin: str, read: SignedRead, shared: Shared | None = None
    ) -> Fetched | Failure:
        """Fetch a read, and once more if its response may be another's or the dialect says that it helps."""
        fetched = await self._try(access, origin, read, shared)
        if await self._is_its_own(access, origin, fetched, shared):
            wait = None if isinstance(fetched, Fetched) else self._dialect.again_in(read.name, fetched)
            if wait is None:
                return fetched
        else:
            fetched = ExchangeUnreachable("The answer may belong to another request.")
            passing = failure(Code.EXCHANGE_UNAVAILABLE)
            wait = self._dialect.again_in(read.name, passing) or 0.0
        if access.ends - time.monotonic() < wait + CALL_NEEDS_SECONDS:
            return fetched
        await asyncio.sleep(wait)
        return await self._try(access, origin, read)

    async def _is_its_own(
        self, access: Access, origin: str, fetched: Fetched | Failure, shared: Shared | None
    ) -> bool:
        """Return whether a response surely belongs to its read; also true for a timeout, which has none."""
        if shared is None or not shared.used_again or isinstance(fetched, ExchangeTimeout):
            return True
        well = await shared.closed_by_server(min(CLOSE_SECONDS, access.ends - time.monotonic()))
        self._parts.https.ended(origin, well=well)
        return well

    async def _try(
        self, access: Access, origin: str, read: SignedRead, shared: Shared | None = None
    ) -> Fetched | Failure:
        try:
            left = access.ends - time.monotonic()
            return await self._send(read, origin, left, access, shared)
        except Failure as fault:
            return fault

    async def _ask_time(self, origin: str) -> int:
        before = time.monotonic()
        with in_turn(FIRST):  # more than the work that asks first may wait for it
            fetched = await self._send(self._dialect.time, origin, CALL_SECONDS)
        exchange_ms = self._dialect.time_of(fetched.data)
        middle = (before + time.monotonic()) / 2
        self._parts.clocks.note(self._exchange.key, exchange_ms / 1000, middle)
        return exchange_ms

    async def _send(
        self,
        read: SignedRead,
        origin: str,
        seconds: float,
        access: Access | None = None,
        shared: Shared | None = None,
    ) -> Fetched:
        """Send a read in its turn and return its data; raises Failure.

        `access` is None for a read without a signature.
        """
        async with self._parts.governor.call(self._exchange.key, read.name, seconds) as call:
            if access is not None and access.signed_until < time.monotonic():
                raise SignedTooLongAgo(LATE_SECONDS)
            return await self._sent(read, access.region if access else "", origin, call, shared)

    async def _sent(
        self, read: SignedRead, region: str, origin: str, call: Call, shared: Shared | None
    ) -> Fetched:
        as_of, started, result = self._parts.clocks.now(), time.monotonic(), "cancelled"
        try:
            with self._span(read, origin) as span:
                answer = await self._parts.https.send(origin, read, call.seconds, shared)
                if self._dialect.used_of is not None:
                    call.used(self._dialect.used_of(answer, read.name))
                span.say(http_status=answer.status)
                data = self._dialect.data_of(answer, read.name, region, read.sent)
            result = "answered"
            return Fetched(as_of, data, answer.age)
        except Failure as fault:
            result = fault.code
            raise
        finally:
            took = time.monotonic() - started
            metrics.EXCHANGE_CALLS.labels(self._exchange.key, read.name, str(result)).observe(took)

    def _span(self, read: SignedRead, origin: str) -> AbstractContextManager[tracing.Span]:
        """Trace a read by its name and host; target and headers hold values of the account."""
        host = urlsplit(origin).hostname or ""
        name, exchange = f"read {read.name}", self._exchange.key
        return tracing.span(name, tracing.Kind.CLIENT, exchange=exchange, read=read.name, host=host)


def echoes(code: str, sent: Collection[Secret]) -> bool:
    """Return whether a code is part of the sent values, so that no credential gets into a log as a code."""
    return len(code) >= LEAST_OF_A_SECRET and any(code in text.reveal() for text in sent)


def paired(reads: Sequence[SignedRead], shareable: Collection[str]) -> list[tuple[SignedRead, ...]]:
    """Pair the first half of reads with the second half, if all of them can share connections by two.

    Two reads share a connection only if their host allows it, both are GET, because a POST is not sent again,
    and they read different endpoints, because lists of one endpoint look alike.
    """
    half = (len(reads) + 1) // 2
    pairs = [tuple(reads[number::half]) for number in range(half)]
    can_share = all(read.method == "GET" and read.host in shareable for read in reads)
    differ = all(len({(read.host, read.name) for read in pair}) == len(pair) for pair in pairs)
    same_host = all(len({read.host for read in pair}) == 1 for pair in pairs)
    return pairs if can_share and differ and same_host else [(read,) for read in reads]
