"""The mapping of Binance's error codes to our faults.

Source: https://github.com/binance/binance-spot-api-docs/blob/master/errors.md
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from contracts import reasons
from contracts.faults import Code, Failure, failure
from sync_worker.exchanges.answered import BANNED, OK, RESTRICTED, sayable, status_failure

# One code for three causes: key, address and right.
THREE_CAUSES = "-2015"
_CODES: dict[Code, str] = {
    Code.KEY_UNKNOWN: "-2008",
    Code.KEY_REJECTED: f"-2014 -1099 {THREE_CAUSES}",
    Code.SIGNATURE_REJECTED: "-1022",
    Code.PERMISSION_MISSING: "-1002",
    Code.ACCOUNT_BLOCKED: "-2017",
    Code.RATE_LIMITED: "-1003",
    Code.EXCHANGE_UNAVAILABLE: "-1000 -1001 -1006 -1008 -1016 -3000",
    Code.EXCHANGE_TIMEOUT: "-1007",
    Code.CLOCK_DISAGREES: "-1021",
    # Our own errors: a parameter, or a stream that we never open.
    Code.REQUEST_REJECTED: ("-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1121 -1125 -2035 -2036 -2042"),
}
BINANCE_CODES: dict[str, Code] = {
    number: code for code, numbers in _CODES.items() for number in numbers.split()
}
_ERROR_CODE = re.compile(r"-[0-9]{1,8}", re.ASCII)


class Asked(msgspec.Struct, frozen=True):
    """A read and its region; our egress addresses, if the operator configured them."""

    endpoint: str
    region: str = ""
    egress: Sequence[str] = ()


def code_of(document: Any) -> str | None:
    """Return the error code of a response; None for one without.

    Data of Binance has no negative code beside a message; a code may be a text in case it changes that.
    """
    fields = document if isinstance(document, dict) else {}
    code = fields.get("code")
    if "msg" not in fields or not isinstance(code, str) or not _ERROR_CODE.fullmatch(code):
        return None
    return str(code)


def binance_failure(code: str, asked: Asked, retry_after: float | None = None, status: int = OK) -> Failure:
    """Return the fault of Binance's code; nothing is copied from its message.

    A code that is not in the table becomes exchange_error, and the fault carries the code unchanged. A ban
    (418) is told by its status, whatever read meets it.
    """
    if status in (BANNED, RESTRICTED):
        return status_failure(status, retry_after)
    meant = BINANCE_CODES.get(code, Code.EXCHANGE_ERROR)
    return failure(
        meant, _detail(meant, code, asked), retry_after, exchange_code=sayable(code), endpoint=asked.endpoint
    )


def _detail(meant: Code, code: str, asked: Asked) -> str:
    if meant is Code.EXCHANGE_ERROR:
        return ""
    number = f"(Binance {code})"
    if code == THREE_CAUSES:
        ours = f" Our address is {', '.join(asked.egress)}." if asked.egress else ""
        return f"{reasons.THREE_CAUSES}{ours} {number}"
    return number
