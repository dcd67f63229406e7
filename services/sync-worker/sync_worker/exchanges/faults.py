"""The parts of the mapping of error codes that no exchange owns. Pure."""

import re
from collections.abc import Sequence
from ipaddress import ip_address

import msgspec

from contracts.faults import Code, Failure, failure

# Any other code is not repeated, because it may be any text.
CODE_FORMAT = re.compile(r"[-A-Za-z0-9_]{1,16}", re.ASCII)
_MAX_SEARCHED = 500
_ADDRESS = re.compile(r"[0-9A-Fa-f]*[.:][0-9A-Fa-f.:]*[0-9A-Fa-f]", re.ASCII)
_BLOCKED, _FORBIDDEN, _TOO_MANY, _BANNED, _SERVER = 451, 403, 429, 418, 500


class Asked(msgspec.Struct, frozen=True):
    """A read, its region, and our egress addresses, if the operator configured them."""

    endpoint: str
    region: str = ""
    egress: Sequence[str] = ()


def status_failure(status: int, retry_after: float | None = None) -> Failure:
    """Return the fault, by HTTP status, of a response that is not the API's or does not have status 200.

    A 403 comes from a server in front of the exchange, and its cause is often temporary. So it counts as
    unreachable, which is retried, and not as a blocked region.
    """
    detail = f"The answer is an HTTP {status} that does not come from the API."
    if status in (_TOO_MANY, _BANNED):  # the second is a ban of our address
        return failure(Code.RATE_LIMITED, detail, retry_after)
    if status >= _SERVER:
        return failure(Code.EXCHANGE_UNAVAILABLE, detail, retry_after)
    if status == _FORBIDDEN:
        return failure(Code.EXCHANGE_UNREACHABLE, detail, retry_after)
    if status == _BLOCKED:  # RFC 7725: for legal reasons
        return failure(Code.REGION_BLOCKED, detail)
    return failure(Code.UNEXPECTED_RESPONSE, detail)


def address_in(message: str) -> str:
    """Return our IP address as a message of an exchange names it; no other part of the text is repeated."""
    for found in _ADDRESS.findall(message[:_MAX_SEARCHED]):
        try:
            return str(ip_address(found))
        except ValueError:
            continue
    return ""
