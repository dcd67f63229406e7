"""Parse the clock of Binance, and the weights that its responses tell. Pure; raises UnexpectedResponse."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from contracts.exchanges.binance import BINANCE
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.values import EPOCH, fields_of, time_of

SAPI = "/sapi/"
SAPI_WEIGHT, OTHER_WEIGHT = "X-SAPI-USED-IP-WEIGHT-1M", "X-MBX-USED-WEIGHT-1M"
# More digits are no weight.
MOST_DIGITS = 9


def parse_time(data: Any) -> int:
    """Parse the data of /api/v3/time; return milliseconds since the epoch."""
    said = time_of(fields_of(data).get("serverTime"))
    if said is None:
        raise UnexpectedResponse("The time is not a valid time.")
    return (said - EPOCH) // timedelta(milliseconds=1)


def used_of(name: str, headers: Mapping[str, str]) -> Mapping[str, int]:
    """Return the weight that our address has used of the budget of a read, if a response says so.

    Under /sapi each endpoint has a counter of its own; elsewhere each host has one.
    """
    endpoint = BINANCE.reads.get(name)
    own = next(iter(BINANCE.costs.get(name, {})), None)
    header = SAPI_WEIGHT if endpoint is not None and endpoint.path.startswith(SAPI) else OTHER_WEIGHT
    said = headers.get(header, "")
    known = said.isascii() and said.isdecimal() and len(said) <= MOST_DIGITS
    return {own: int(said)} if own is not None and known else {}
