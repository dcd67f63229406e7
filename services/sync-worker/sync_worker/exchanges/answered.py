"""What all connectors say of a refused request: its code, and the fault of its status. Pure."""

import re

from contracts.faults import Code, Failure, failure

# We accept data only with this status, and an error code with any status.
OK = 200
RATE_LIMITED, BANNED, FORBIDDEN, RESTRICTED, FIRST_OF_SERVER = 429, 418, 403, 451, 500

# Any other code is not repeated, because it may be any text.
_CODE_FORMAT = re.compile(r"[-A-Za-z0-9_]{1,16}", re.ASCII)


def sayable(code: str) -> str | None:
    """Return a code of an exchange that a message can carry; None for any other text."""
    return code if _CODE_FORMAT.fullmatch(code) else None


def status_failure(status: int, retry_after: float | None = None) -> Failure:
    """Return the fault, by HTTP status, of a response that is not the API's or does not have status 200.

    A 403 comes from a server in front of the exchange, and its cause is often temporary. So it counts as
    unreachable, which is retried. A blocked region has a status of its own, or a code of the exchange.
    """
    detail = f"The answer is an HTTP {status} that does not come from the API."
    if status in (RATE_LIMITED, BANNED):
        return failure(Code.RATE_LIMITED, detail, retry_after)
    if status == RESTRICTED:
        return failure(Code.REGION_BLOCKED, detail)
    if status >= FIRST_OF_SERVER:
        return failure(Code.EXCHANGE_UNAVAILABLE, detail, retry_after)
    if status == FORBIDDEN:
        return failure(Code.EXCHANGE_UNREACHABLE, detail, retry_after)
    return failure(Code.UNEXPECTED_RESPONSE, detail)
