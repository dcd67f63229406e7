"""Parse whether Binance is in maintenance. Pure; raises UnexpectedResponse.

Source: https://developers.binance.com/docs/wallet/others/system-status.
"""

import msgspec

from sync_worker.closures.hearing import Maintenance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.values import SHAPE

NORMAL, MAINTENANCE = 0, 1


class _Status(msgspec.Struct, frozen=True):
    status: int


def parse_status(body: bytes) -> Maintenance | None:
    """Return the maintenance that is under way, whose end Binance does not tell; None if there is not any."""
    try:
        said = msgspec.json.decode(body, type=_Status).status
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise UnexpectedResponse(SHAPE) from None
    if said not in (NORMAL, MAINTENANCE):
        raise UnexpectedResponse(SHAPE)
    return Maintenance(None) if said == MAINTENANCE else None
