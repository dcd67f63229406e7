"""The mapping of Binance's error codes to our faults. Pure.

Source: https://github.com/binance/binance-spot-api-docs/blob/master/errors.md, and for the codes that it does
not list (-2008, -2017) public client libraries.
"""

from collections.abc import Mapping

from contracts.faults import Code, Failure, failure
from contracts.reasons import OTHERS_WORK, THREE_CAUSES
from sync_worker.exchanges.faults import CODE_FORMAT, Asked
from sync_worker.verdicts import Fetched

# One code for a wrong or deleted key, an address that the key is not bound to, and a missing right.
REFUSED = "-2015"
BANNED = 418
_CODES: dict[Code, str] = {
    Code.KEY_REJECTED: "-2015 -2014 -1002 -1099",
    Code.KEY_UNKNOWN: "-2008",
    Code.ACCOUNT_BLOCKED: "-2017",
    Code.SIGNATURE_REJECTED: "-1022",
    Code.CLOCK_DISAGREES: "-1021",
    Code.RATE_LIMITED: "-1003",
    Code.EXCHANGE_UNAVAILABLE: "-1000 -1001 -1006 -1008 -1016 -3000",
    Code.EXCHANGE_TIMEOUT: "-1007",
    # Our own errors: a parameter, or a stream, which we never open.
    Code.REQUEST_REJECTED: "-1100 -1101 -1102 -1103 -1104 -1105 -1106 -1121 -1125 -2035 -2036 -2042",
}
BINANCE_CODES: dict[str, Code] = {
    number: code for code, numbers in _CODES.items() for number in numbers.split()
}


def binance_failure(code: str, asked: Asked, status: int, retry_after: float | None = None) -> Failure:
    """Return the fault of Binance's code; no part of its message is repeated.

    A code that is not in the table becomes exchange_error, and the fault carries the code unchanged. A ban of
    our address (HTTP 418) carries none, because it concerns all calls.
    """
    meant = BINANCE_CODES.get(code, Code.EXCHANGE_ERROR)
    if status == BANNED:
        return failure(Code.RATE_LIMITED, "", retry_after, endpoint=asked.endpoint)
    exchange_code = code if CODE_FORMAT.fullmatch(code) else None
    return failure(
        meant, _detail(code, asked), retry_after, exchange_code=exchange_code, endpoint=asked.endpoint
    )


def is_refusal(fetched: Fetched | Failure) -> bool:
    """Return whether a read met the code of three causes."""
    return isinstance(fetched, Failure) and fetched.exchange_code == REFUSED


def with_causes_ruled_out(reads: Mapping[str, Fetched | Failure]) -> dict[str, Fetched | Failure]:
    """Return the reads of one sync, with a refusal as a missing right if another read worked.

    Then the key is right, and it may come from our address.
    """
    if not any(isinstance(each, Fetched) for each in reads.values()):
        return dict(reads)
    return {name: _missing_right(each) if is_refusal(each) else each for name, each in reads.items()}


def _missing_right(refused: Fetched | Failure) -> Fetched | Failure:
    assert isinstance(refused, Failure)  # noqa: S101 - is_refusal said so
    return failure(
        Code.PERMISSION_MISSING, OTHERS_WORK, exchange_code=refused.exchange_code, endpoint=refused.endpoint
    )


def _detail(code: str, asked: Asked) -> str:
    if code not in BINANCE_CODES:
        return ""
    if code != REFUSED:
        return f"(Binance {code})"
    ours = f" Our address is {', '.join(asked.egress)}." if asked.egress else ""
    return f"{THREE_CAUSES}{ours} (Binance {code})"
