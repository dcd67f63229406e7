"""What is signed, and for whom: the reads of each purpose, timestamps, pre-hashes and headers. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from contracts.credentials import Authorize, CredentialParts, SignedRead
from contracts.exchanges.reads import READS, Read, ReadNotAllowed, Scheme, request_line
from contracts.faults import Code, failure
from contracts.values import Secret
from contracts.wire.grants import VERIFY, Grant

MAX_CLOCK_DIFFERENCE_MS = 60_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# What a grant lets its holder read, by the first word of its purpose.
PURPOSES: dict[str, frozenset[str]] = {
    VERIFY: frozenset({"account_config"}),
    "sync": frozenset({"account_config", "account_balance", "asset_balances", "asset_valuation"}),
}


class Draft(msgspec.Struct, frozen=True):
    """A read before it is signed: what is sent, when, and the bytes that the signature covers."""

    name: str
    method: str
    target: str
    timestamp: str
    prehash: bytes


def draft_reads(request: Authorize, grant: Grant, now: datetime) -> list[Draft]:
    """Write out the reads of a request that its grant covers.

    Raises Failure: grant_refused, clock_disagrees, read_not_allowed.
    """
    if (grant.credential_id, grant.exchange) != (request.credential_id, request.exchange):
        raise failure(Code.GRANT_REFUSED, "the grant is for another credential")
    _check_time(request.exchange_time_ms, now)
    drafts = [_draft(request.exchange, request.exchange_time_ms, read) for read in request.reads]
    granted = PURPOSES.get(grant.purpose.partition(" ")[0], frozenset())
    if not {draft.name for draft in drafts} <= granted:
        raise failure(Code.GRANT_REFUSED, "the grant does not cover these reads")
    return drafts


def sign_reads(
    exchange: str, drafts: Sequence[Draft], parts: CredentialParts, signatures: Sequence[str]
) -> tuple[SignedRead, ...]:
    """Put the signatures, base64 in the order of the drafts, into the headers of the exchange's scheme."""
    return tuple(
        SignedRead(draft.name, draft.method, draft.target, _headers(exchange, draft, parts, signature))
        for draft, signature in zip(drafts, signatures, strict=True)
    )


def iso_timestamp(milliseconds: int) -> str:
    """Write milliseconds since the epoch as OKX wants them: `2020-12-08T09:08:57.715Z`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def _check_time(exchange_time_ms: int, now: datetime) -> None:
    """Refuse a time far from our own clock: a stolen worker could collect signatures for a later day."""
    if abs(exchange_time_ms - (now - _EPOCH) // timedelta(milliseconds=1)) > MAX_CLOCK_DIFFERENCE_MS:
        raise failure(Code.CLOCK_DISAGREES, "the exchange's time is more than 60 s from the broker's")


def _draft(exchange: str, exchange_time_ms: int, read: Read) -> Draft:
    try:
        method, target = request_line(exchange, read)
    except ReadNotAllowed as error:
        raise failure(Code.READ_NOT_ALLOWED, str(error)) from None
    match READS[exchange].scheme:
        case Scheme.OKX_HMAC_SHA256:
            timestamp = iso_timestamp(exchange_time_ms)
            return Draft(read.name, method, target, timestamp, f"{timestamp}{method}{target}".encode())


def _headers(exchange: str, draft: Draft, parts: CredentialParts, signature: str) -> dict[str, Secret]:
    match READS[exchange].scheme:
        case Scheme.OKX_HMAC_SHA256:
            return {
                "OK-ACCESS-KEY": parts.api_key,
                "OK-ACCESS-SIGN": Secret(signature),
                "OK-ACCESS-TIMESTAMP": Secret(draft.timestamp),
                "OK-ACCESS-PASSPHRASE": parts.passphrase,
            }
