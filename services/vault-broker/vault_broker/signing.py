"""Sign the reads that a grant covers, by the scheme of their exchange. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from contracts.credentials import Authorize, Fields, SignedRead
from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Exchange, Read, ReadNotAllowed
from contracts.faults import Code, failure
from contracts.wire.grants import VERIFY, Grant
from vault_broker.schemes import scheme_of
from vault_broker.schemes.types import Draft, Scheme

MAX_CLOCK_DIFFERENCE_MS = 60_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def granted_reads(exchange: Exchange, purpose: str) -> frozenset[str]:
    """Return the reads that a grant of a purpose covers."""
    kind = purpose.partition(" ")[0]
    return {VERIFY: exchange.verify_reads, "sync": exchange.sync_reads}.get(kind, frozenset())


def draft_reads(request: Authorize, grant: Grant, now: datetime) -> list[Draft]:
    """Return the drafts of the reads of a request, which its grant must cover.

    Raises Failure: grant_refused, clock_disagrees, read_not_allowed.
    """
    if (grant.credential_id, grant.exchange) != (request.credential_id, request.exchange):
        raise failure(Code.GRANT_REFUSED, "the grant is for another credential")
    _check_time(request.exchange_time_ms, now)
    exchange = EXCHANGES.get(request.exchange)
    if exchange is None:
        raise failure(Code.READ_NOT_ALLOWED, "this exchange is not on the list")
    stamp = scheme_of(exchange.key).stamp(request.exchange_time_ms)
    drafts = [_draft(exchange, request.exchange_time_ms, stamp, read) for read in request.reads]
    if not {draft.name for draft in drafts} <= granted_reads(exchange, grant.purpose):
        raise failure(Code.GRANT_REFUSED, "the grant does not cover these reads")
    return drafts


def messages(scheme: Scheme, drafts: Sequence[Draft], fields: Fields) -> list[bytes]:
    """Return the bytes to be signed for each draft."""
    message = scheme.message
    return [message(draft, fields) for draft in drafts]


def sign_reads(
    scheme: Scheme, drafts: Sequence[Draft], fields: Fields, signatures: Sequence[str]
) -> tuple[SignedRead, ...]:
    """Return the signed reads; `signatures` are in the order of the drafts."""
    write = scheme.write
    return tuple(write(draft, fields, signature) for draft, signature in zip(drafts, signatures, strict=True))


def _check_time(exchange_time_ms: int, now: datetime) -> None:
    """Refuse a time far from ours, because a compromised worker could collect signatures for a later day."""
    if abs(exchange_time_ms - (now - _EPOCH) // timedelta(milliseconds=1)) > MAX_CLOCK_DIFFERENCE_MS:
        raise failure(Code.CLOCK_DISAGREES, "the exchange's time is more than 60 s from the broker's")


def _draft(exchange: Exchange, exchange_time_ms: int, stamp: str, read: Read) -> Draft:
    try:
        request = exchange.request(read)
    except ReadNotAllowed as error:
        raise failure(Code.READ_NOT_ALLOWED, str(error)) from None
    return Draft(read.name, request, exchange_time_ms, stamp)
