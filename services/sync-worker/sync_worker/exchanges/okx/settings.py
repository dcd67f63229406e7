"""OKX's own setting: the share by which a list may differ from the total of its own response."""

from decimal import Decimal, InvalidOperation

from chassis.settings import Environment, parsed
from sync_worker.verdicts import TOLERANCE as LEAST

TOLERANCE = "OKX_TOTAL_TOLERANCE"
OPTIONAL = (TOLERANCE,)
MOST = Decimal("0.1")


def load(environ: Environment) -> Decimal:
    """Read the share; raises BadSetting."""
    return parsed({TOLERANCE: environ.get(TOLERANCE) or str(LEAST)}, TOLERANCE, _share)


def _share(text: str) -> Decimal:
    try:
        share = Decimal(text)
        usable = LEAST <= share <= MOST
    except InvalidOperation:  # not a number, or one that cannot be compared
        usable = False
    if not usable:
        raise ValueError("not a share between a thousandth and a tenth")
    return share
