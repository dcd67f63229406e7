"""The reads that the system may ever ask of an exchange; the broker signs nothing else."""

import re
from enum import StrEnum

import msgspec

VALUE = re.compile(r"[A-Za-z0-9._,-]{1,256}", re.ASCII)


class Scheme(StrEnum):
    """How an exchange wants a request to be signed."""

    OKX_HMAC_SHA256 = "okx-hmac-sha256"


class Read(msgspec.Struct, frozen=True):
    """A read by its name in the list, with its query in the order in which it is sent."""

    name: str
    query: dict[str, str] = {}


class Endpoint(msgspec.Struct, frozen=True):
    """What a named read is at the exchange."""

    method: str
    path: str
    query_keys: frozenset[str] = frozenset()


class ExchangeReads(msgspec.Struct, frozen=True):
    """The endpoints of one exchange and how they are signed."""

    scheme: Scheme
    endpoints: dict[str, Endpoint]


class ReadNotAllowed(Exception):
    """A read that is not on the list, or whose query could be misread."""


READS: dict[str, ExchangeReads] = {
    "okx": ExchangeReads(
        scheme=Scheme.OKX_HMAC_SHA256,
        endpoints={
            "account_config": Endpoint("GET", "/api/v5/account/config"),
            "account_balance": Endpoint("GET", "/api/v5/account/balance", frozenset({"ccy"})),
            "asset_balances": Endpoint("GET", "/api/v5/asset/balances", frozenset({"ccy"})),
            "asset_valuation": Endpoint("GET", "/api/v5/asset/asset-valuation", frozenset({"ccy"})),
        },
    ),
}


def request_line(exchange: str, read: Read) -> tuple[str, str]:
    """Give method and request target of a read, exactly as it is signed and sent.

    Raises ReadNotAllowed for an exchange, a name or a query key that is not on the list, and for a value
    outside `[A-Za-z0-9._,-]`, because an HTTP library could re-encode it after signing.
    """
    reads = READS.get(exchange)
    endpoint = reads.endpoints.get(read.name) if reads else None
    if endpoint is None:
        raise ReadNotAllowed("this read is not on the list")
    for key, value in read.query.items():
        if key not in endpoint.query_keys or not VALUE.fullmatch(value):
            raise ReadNotAllowed(f"this query is not allowed for {read.name}")
    query = "&".join(f"{key}={value}" for key, value in read.query.items())
    return endpoint.method, endpoint.path + ("?" + query if query else "")
