"""OKX: reads the wallets of an account, and who a key belongs to."""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any

import structlog

from chassis import metrics
from chassis.clocks import Clocks
from contracts.credentials import SignedRead
from contracts.events import Verified
from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Read
from contracts.faults import Code, Failure, failure
from contracts.syncs import Rights
from contracts.values import Secret
from sync_worker.broker import Access, Broker
from sync_worker.errors import ClocksDisagree
from sync_worker.exchanges.clock import ExchangeClock, Measurement
from sync_worker.exchanges.http import CALL_SECONDS, Answer, Https
from sync_worker.exchanges.okx.faults import Asked, okx_failure, status_failure
from sync_worker.exchanges.okx.payloads import parse_config, parse_envelope, parse_rights, parse_time
from sync_worker.exchanges.okx.wallets import judge_wallets
from sync_worker.settings import Settings
from sync_worker.sync import Reading
from sync_worker.verdicts import Fetched, parsed, retry_after

# Public: it needs no signature.
TIME = SignedRead("public_time", "GET", "/api/v5/public/time", {})
VALUATION = Read("asset_valuation", {"ccy": "USD"})
CONFIG_READS = (Read("account_config"),)
WALLET_READS = (Read("account_balance"), Read("asset_balances"), VALUATION, *CONFIG_READS)
# OKX admits one valuation a second: the next one is admitted then, if no other is asked for in between.
AGAIN_SECONDS = 1.1
# What the second request needs of a try, the wait included.
AGAIN_NEEDS_SECONDS = 2.0
PASSING_REFUSALS = frozenset({Code.RATE_LIMITED, Code.EXCHANGE_UNAVAILABLE, Code.EXCHANGE_ERROR})
# Data count only with this status; an error code counts with any.
OK = 200
# No passphrase is shorter, and hardly a code is longer.
LEAST_OF_A_SECRET = 8

log = structlog.get_logger()


class Okx:
    """Reads OKX accounts, at the addresses and with the tolerance of the settings."""

    catalogue = OKX

    def __init__(self, https: Https, broker: Broker, settings: Settings, clocks: Clocks) -> None:
        self._https = https
        self._broker = broker
        self._origins = settings.okx_origins
        self._egress = settings.egress_addresses
        self._tolerance = settings.okx_total_tolerance
        self._clocks = clocks
        self._clock = ExchangeClock(self._ask_time, time.monotonic)

    async def read_wallets(self, access: Access) -> Reading:
        """Read trading and funding wallet together with the exchange's own totals and the rights of the key.

        Raises Failure when nothing could be asked.
        """
        trading, funding, valuation, config = await self._read(access, WALLET_READS)
        wallets = judge_wallets(trading, funding, valuation, self._tolerance)
        asked_to_wait = retry_after((trading, funding, config))
        try:
            return Reading(wallets, asked_to_wait, rights=parsed(parse_rights, config))
        except Failure as fault:
            return Reading(wallets, asked_to_wait, rights_code=fault.code)

    async def verify(self, access: Access) -> Verified:
        """Read whose key it is and what it may do; raises Failure."""
        (config,) = await self._read(access, CONFIG_READS)
        return parsed(parse_config, config)

    async def read_rights(self, access: Access) -> Rights:
        """Read whose key it is and what it may do, and nothing beside that; raises Failure."""
        (config,) = await self._read(access, CONFIG_READS)
        return parsed(parse_rights, config)

    async def _read(self, access: Access, reads: Sequence[Read]) -> list[Fetched | Failure]:
        """Have reads signed and send them; when OKX refuses the time, measure it anew and try again."""
        origin = self._origins.get(access.region)
        if origin is None:
            raise failure(Code.INVALID_REQUEST, "OKX has no such region.")
        measurement = await self._clock.measurement(origin)
        results = await self._read_at(measurement, access, origin, reads)
        refused = any(isinstance(each, Failure) and each.code == Code.CLOCK_DISAGREES for each in results)
        if refused and self._clock.doubt(origin, measurement):
            measurement = await self._clock.measurement(origin)
            results = await self._read_at(measurement, access, origin, reads)
        for each in results:
            if isinstance(each, ClocksDisagree):
                raise each
        return results

    async def _read_at(
        self, measurement: Measurement, access: Access, origin: str, reads: Sequence[Read]
    ) -> list[Fetched | Failure]:
        try:
            signed = await self._broker.authorize(access, reads, self._clock.now_ms(measurement))
        except Failure as fault:
            return [fault for _ in reads]
        return await asyncio.gather(*(self._fetch_patiently(access, origin, read) for read in signed))

    async def _fetch_patiently(self, access: Access, origin: str, read: SignedRead) -> Fetched | Failure:
        """Fetch a read, and ask for a refused valuation once more with the same signature."""
        fetched = await self._fetch(access, origin, read)
        if read.name == VALUATION.name and _may_pass(fetched, access.ends - time.monotonic()):
            await asyncio.sleep(AGAIN_SECONDS)
            fetched = await self._fetch(access, origin, read)
        return fetched

    async def _fetch(self, access: Access, origin: str, read: SignedRead) -> Fetched | Failure:
        try:
            return await self._get(read, access.region, origin, access.ends - time.monotonic())
        except Failure as fault:
            return fault

    async def _ask_time(self, origin: str) -> int:
        before = time.monotonic()
        exchange_ms = parse_time((await self._get(TIME, "", origin, CALL_SECONDS)).data)
        self._clocks.note(OKX.key, exchange_ms / 1000, (before + time.monotonic()) / 2)
        return exchange_ms

    async def _get(self, read: SignedRead, region: str, origin: str, seconds: float) -> Fetched:
        """Send a read and give its data; raises Failure."""
        as_of, started, result = self._clocks.now(), time.monotonic(), "cancelled"
        try:
            answer = await self._https.get(origin, read.target, read.headers, seconds)
            data = _data(answer, Asked(read.name, region, self._egress), read.headers.values())
            result = "answered"
            return Fetched(as_of, data, answer.age)
        except Failure as fault:
            result = fault.code
            raise
        finally:
            took = time.monotonic() - started
            metrics.EXCHANGE_CALLS.labels(OKX.key, read.name, str(result)).observe(took)


def _may_pass(fetched: Fetched | Failure, seconds_left: float) -> bool:
    """Tell whether a read was refused for a moment only, and there is time to ask once more."""
    if not isinstance(fetched, Failure) or fetched.code not in PASSING_REFUSALS:
        return False
    return seconds_left >= AGAIN_NEEDS_SECONDS and (fetched.retry_after or 0.0) <= AGAIN_SECONDS


def _data(answer: Answer, asked: Asked, sent: Collection[Secret]) -> Any:
    """Give the data of an answer; raises Failure, that of its error code before that of its HTTP status."""
    envelope = parse_envelope(answer.body)
    if envelope is not None and envelope.code != "0":
        code = "" if _echoes(envelope.code, sent) else envelope.code
        fault = okx_failure(code, envelope.msg, asked, answer.retry_after)
        if fault.code == Code.EXCHANGE_ERROR:
            log.warning("unlisted_error_code", endpoint=fault.endpoint, exchange_code=fault.exchange_code)
        raise fault
    if envelope is None or answer.status != OK:
        raise status_failure(answer.status, answer.retry_after)
    return envelope.data


def _echoes(code: str, sent: Collection[Secret]) -> bool:
    """Tell whether a code is a part of what was sent: no credential comes into a log, not even as a code."""
    return len(code) >= LEAST_OF_A_SECRET and any(code in header.reveal() for header in sent)
