"""Parse Binance's status. Pure; raises UnexpectedResponse.

Source: https://developers.binance.com/docs/wallet/others/system-status.
"""

from sync_worker.closures.hearing import Maintenance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import read_body
from sync_worker.exchanges.values import SHAPE

NORMAL, UPKEEP = "0", "1"


def parse_status(body: bytes) -> Maintenance | None:
    """Return the maintenance that is under way, whose end Binance does not tell; None if there is not any."""
    document = read_body(body)
    status = document.get("status") if isinstance(document, dict) else None
    if status not in (NORMAL, UPKEEP):
        raise UnexpectedResponse(SHAPE)
    return Maintenance() if status == UPKEEP else None
