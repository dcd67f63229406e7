"""The mapping of OKX's error codes to our faults.

Source: https://www.okx.com/docs-v5/en/#error-code-rest-api-public
"""

from contracts.exchanges.okx import OKX
from contracts.faults import Code, Failure, failure
from contracts.reasons import looked_for_in
from sync_worker.exchanges.faults import CODE_FORMAT, Asked, address_in

_CODES: dict[Code, str] = {
    Code.KEY_UNKNOWN: "50119",
    Code.KEY_REJECTED: "50111 50114",
    Code.SIGNATURE_REJECTED: "50113",
    Code.PASSPHRASE_WRONG: "50105",
    Code.WRONG_ENVIRONMENT: "50101",
    Code.IP_NOT_ALLOWED: "50110",
    Code.IP_BINDING_REQUIRED: "50035",
    Code.PERMISSION_MISSING: "50030 50120",
    # Not available in demo trading, before Savings is opened, or for a sub-account.
    Code.NOT_AVAILABLE: "50038 51735 58002 59500",
    Code.SUB_ACCOUNT_GONE: "59510",
    Code.ACCOUNT_BLOCKED: "50007 50008 50012 50100",
    Code.ACCOUNT_RESTRICTED: "50009 50017 50018 50019 50020 50021 50022 50023 50027 50029 51738",
    Code.COMPLIANCE_REQUIRED: "50051 50059 50060",
    Code.REGION_BLOCKED: "50121",
    Code.RATE_LIMITED: "50011 50040 50061 58102",
    Code.EXCHANGE_UNAVAILABLE: "50001 50005 50013 50026 50046 50062 58007",
    Code.EXCHANGE_TIMEOUT: "50004",
    Code.CLOCK_DISAGREES: "50102",
    # Our own errors: a header, a method, a body or a parameter.
    Code.REQUEST_REJECTED: ("50000 50002 50006 50014 50015 50025 50103 50104 50106 50107 50112 50115 51000"),
}
OKX_CODES: dict[str, Code] = {number: code for code, numbers in _CODES.items() for number in numbers.split()}


def okx_failure(code: str, message: str, asked: Asked, retry_after: float | None = None) -> Failure:
    """Return the fault of OKX's code; only an IP address is copied from its message.

    A code that is not in the table becomes exchange_error, and the fault carries the code unchanged.
    """
    meant = OKX_CODES.get(code, Code.EXCHANGE_ERROR)
    exchange_code = code if CODE_FORMAT.fullmatch(code) else None
    detail = _detail(meant, code, message, asked)
    return failure(meant, detail, retry_after, exchange_code=exchange_code, endpoint=asked.endpoint)


def _detail(meant: Code, code: str, message: str, asked: Asked) -> str:
    if meant is Code.EXCHANGE_ERROR:
        return ""
    number = f"(OKX {code})"
    if meant is Code.KEY_UNKNOWN:
        return f"{looked_for_in(OKX, asked.region)} {number}"
    if meant in (Code.IP_NOT_ALLOWED, Code.IP_BINDING_REQUIRED, Code.REGION_BLOCKED):
        ours = ", ".join(asked.egress) or address_in(message)
        return f"Our address is {ours} {number}." if ours else number
    return number
