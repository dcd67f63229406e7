"""The worker's client of the vault-broker: it turns named reads into signed reads."""

import math
from collections.abc import Sequence
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from contracts import subjects
from contracts.credentials import Authorize, AuthorizeReply, Refused, SignedRead, SignedReads
from contracts.exchanges import EXCHANGES
from contracts.exchanges.types import Read
from contracts.faults import Code, failure
from contracts.syncs import SubAccount
from contracts.wire.envelope import Malformed, decode
from contracts.wire.sealing import SealBroken, SealingKey
from sync_worker.errors import ClocksDisagree

AUTHORIZE_SECONDS = 3.0


class Access(msgspec.Struct, frozen=True):
    """The credential, exchange and region to read, the gateway's grant, and the monotonic time limit.

    `lately_empty` are the wallets that may be left unread if the exchange values them at nothing, and
    `lately_refused` the wallets that only a refused right could open a short while ago. `sub_account` is the
    one to read in place of the account of the key. `signed_until` is the monotonic time until which reads
    that are signed may be sent.
    """

    credential_id: UUID
    exchange: str
    region: str
    grant: str
    ends: float
    lately_empty: frozenset[str] = frozenset()
    sub_account: SubAccount | None = None
    list_sub_accounts: bool = False
    lately_refused: frozenset[str] = frozenset()
    signed_until: float = math.inf


class Broker:
    """Has reads signed; the broker seals its replies to a key that exists only in this process."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._key = SealingKey.generate()

    async def authorize(
        self, access: Access, reads: Sequence[Read], exchange_time_ms: int
    ) -> tuple[SignedRead, ...]:
        """Have a batch of reads signed for the exchange's time.

        Raises Failure with the broker's code, or signing_unavailable if the broker does not reply.
        """
        request = Authorize(
            request_id=uuid7(),
            credential_id=access.credential_id,
            exchange=access.exchange,
            exchange_time_ms=exchange_time_ms,
            reads=tuple(reads),
            seal_to=self._key.public,
            grant=access.grant,
        )
        try:
            return _checked(self._open(await self._ask(request), request), request)
        except (Malformed, SealBroken) as error:
            raise failure(
                Code.INTERNAL_ERROR, f"We can not use the answer of the vault-broker: {error}."
            ) from None

    async def _ask(self, request: Authorize) -> bytes:
        reply: AuthorizeReply = await self._bus.request(
            subjects.AUTHORIZE, request, AuthorizeReply, AUTHORIZE_SECONDS, Code.SIGNING_UNAVAILABLE
        )
        if isinstance(reply, Refused):
            raise ClocksDisagree(reply.detail) if reply.code == Code.CLOCK_DISAGREES else reply.failure()
        return reply.sealed_reads

    def _open(self, sealed: bytes, request: Authorize) -> tuple[SignedRead, ...]:
        plain = self._key.open(sealed, subjects.AUTHORIZE, request.credential_id, request.request_id)
        signed: SignedReads = decode(plain, SignedReads)
        return signed.reads


def _checked(signed: tuple[SignedRead, ...], request: Authorize) -> tuple[SignedRead, ...]:
    """Return the signed reads; refuse any but the requested ones, in order, with their scheme's additions."""
    asks_only = EXCHANGES[request.exchange].asks_only
    if [read.name for read in signed] != [read.name for read in request.reads] or not all(
        asks_only(asked, read.method, read.host, read.target, read.content)
        for asked, read in zip(request.reads, signed, strict=True)
    ):
        raise Malformed("other reads than those asked for")
    if not all(value.reveal().isprintable() for read in signed for value in read.headers.values()):
        raise failure(
            Code.KEY_REJECTED, "The API key or the passphrase holds characters that we can not send."
        )
    return signed
