"""Reads the reference rates of the European Central Bank."""

from contracts.exchanges.types import PublicRead
from contracts.faults import Code, Failure, failure
from contracts.prices import ECB, PricesRead, PricesRequested
from sync_worker.currencies.fixings import Fixing, parse_fixing
from sync_worker.exchanges.http import Answer
from sync_worker.exchanges.public import Source, read_public
from sync_worker.exchanges.signed import Parts

DAILY = PublicRead("daily_rates", "/stats/eurofxref/eurofxref-daily.xml")
OK = 200


class Bank:
    """Reads the bank at an origin."""

    def __init__(self, parts: Parts, origin: str) -> None:
        self._parts = parts
        self._source = Source(ECB, origin)

    async def read_prices(self, request: PricesRequested, seconds: float) -> PricesRead:
        """Read the newest rates; on weekends and holidays they are those of the last working day."""
        read_at = self._parts.clocks.now()
        try:
            fixing = await read_public(self._parts, self._source, DAILY, _fixing, seconds)
        except Failure as fault:
            return PricesRead(ECB, request.request_id, read_at, error_code=fault.code)
        return PricesRead(ECB, request.request_id, read_at, None, fixing.rates, None, fixing.fixed_on)


def _fixing(answer: Answer) -> Fixing:
    if answer.status != OK:
        detail = f"The answer is an HTTP {answer.status}."
        raise failure(Code.EXCHANGE_UNAVAILABLE, detail, answer.retry_after)
    return parse_fixing(answer.body)
