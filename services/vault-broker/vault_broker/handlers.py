"""The broker's handlers on the bus; each replies within 2.5 seconds and logs the request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog

from chassis import metrics, tracing
from chassis.bus.connection import Bus
from chassis.bus.consume import listen
from chassis.bus.respond import respond
from contracts import subjects
from contracts.credentials import (
    STORE_SECONDS,
    Authorize,
    Authorized,
    Destroy,
    Destroyed,
    Fields,
    KeyOffered,
    Keys,
    OfferKey,
    SignedRead,
    SignedReads,
    Store,
    Stored,
)
from contracts.exchanges import EXCHANGES
from contracts.exchanges.keys import CredentialKind
from contracts.exchanges.types import Exchange
from contracts.faults import Code, Failure, failure
from contracts.wire.envelope import Malformed, decode, encode
from contracts.wire.fields import wrong_fields
from contracts.wire.grants import Grant, GrantOver, GrantRefused, check_request, read_grant
from contracts.wire.key_files import Verifier
from contracts.wire.sealing import SealBroken, seal
from vault_broker.credentials import Credential, Credentials
from vault_broker.errors import VaultAnswer, VaultUnavailable
from vault_broker.grant_use import Ended, Signed
from vault_broker.schemes import scheme_of
from vault_broker.schemes.types import Draft
from vault_broker.sealing_keys import SealingKeys
from vault_broker.signing import draft_reads, messages, sign_reads

QUEUE = "vault-broker"
ANSWER_WITHIN = 2.2
SIGNING_CONCURRENCY = 64
KEEPING_CONCURRENCY = 16
MAX_LOGGED = 64
NOT_GRANTED = "none that is granted"
UNSIGNED = {"store": "store_unsigned", "destroy": "destroy_unsigned"}
CLOCK_WORDS = "the broker's clock and the vault's disagree"

log = structlog.get_logger()


class _Claim(msgspec.Struct, frozen=True):
    """The credential that a request names, for the audit of an otherwise unreadable request."""

    credential_id: UUID


class Handlers:
    """The broker's five handlers; `now` is its clock, in UTC, and `disagrees` says that it may be wrong.

    `lateness` are the seconds by which a store may be late; the gateway destroys late credentials only after
    that.
    """

    def __init__(
        self,
        credentials: Credentials,
        gateway_keys: Verifier,
        now: Callable[[], datetime],
        disagrees: Callable[[], bool] = lambda: False,
        lateness: float = 0.0,
    ) -> None:
        self._credentials = credentials
        self._gateway_keys = gateway_keys
        self._now = now
        self._disagrees = disagrees
        self._lateness = lateness
        self._signed = Signed()
        self._ended = Ended()

    def declare(self, bus: Bus) -> None:
        """Subscribe to the five subjects, and to the gateways' announcements of syncs that have ended."""
        respond(bus, subjects.KEYS, QUEUE, self.keys, KEEPING_CONCURRENCY)
        respond(bus, subjects.STORE, QUEUE, self.store, KEEPING_CONCURRENCY)
        respond(bus, subjects.OFFER, QUEUE, self.offer, KEEPING_CONCURRENCY)
        respond(bus, subjects.DESTROY, QUEUE, self.destroy, KEEPING_CONCURRENCY)
        respond(bus, subjects.AUTHORIZE, QUEUE, self.authorize, SIGNING_CONCURRENCY)
        listen(bus, subjects.RECORDED_ALL, self.on_recorded)

    async def keys(self, _body: bytes) -> Keys:
        """Return the current public keys with which a gateway sends a credential."""
        async with _audited("keys"):
            wrapping_key = await self._credentials.wrapping_key()
            sealing_key = (await self._credentials.sealing_keys()).newest
            return Keys(wrapping_key, sealing_key.public, sealing_key.key_id)

    async def store(self, body: bytes) -> Stored:
        """Store a new credential."""
        async with _audited("store", body) as entry:
            request: Store = decode(body, Store)
            entry.update(credential_id=request.credential_id, exchange=request.exchange[:MAX_LOGGED])
            if request.exchange not in EXCHANGES:
                raise failure(Code.INVALID_REQUEST, "this exchange is not known")
            self._check_deadline(request.deadline)
            self._check_signature("store", request)
            kind = _kind_of(EXCHANGES[request.exchange], request.kind, born=request.offer is not None)
            fields = _open_fields(request, kind, await self._credentials.sealing_keys())
            await self._keep(request, Credential(request.exchange, fields, kind=request.kind))
            return Stored()

    async def offer(self, body: bytes) -> KeyOffered:
        """Make a signing key for a key offer, and return its public half."""
        async with _audited("offer", body) as entry:
            request: OfferKey = decode(body, OfferKey)
            entry.update(credential_id=request.offer_id, exchange=request.exchange[:MAX_LOGGED])
            if request.exchange not in EXCHANGES:
                raise failure(Code.INVALID_REQUEST, "this exchange is not known")
            kind = _kind_of(EXCHANGES[request.exchange], request.kind, born=True)
            self._check_deadline(request.deadline)
            self._check_signature("offer", request)
            key = scheme_of(request.exchange, kind.key).key
            made = await self._credentials.offer(request.offer_id, request.exchange, kind.key, key)
            return KeyOffered(made)

    async def destroy(self, body: bytes) -> Destroyed:
        """Destroy a credential, or its remaining parts."""
        async with _audited("destroy", body) as entry:
            request: Destroy = decode(body, Destroy)
            entry.update(credential_id=request.credential_id)
            self._check_signature("destroy", request)
            await self._credentials.destroy(request.credential_id)
            return Destroyed()

    async def authorize(self, body: bytes) -> Authorized:
        """Sign a batch of reads that the gateway granted, and seal them to the worker that asks."""
        async with _audited("authorize", body) as entry:
            request: Authorize = decode(body, Authorize)
            entry.update(
                credential_id=request.credential_id,
                exchange=request.exchange[:MAX_LOGGED],
                reads=[read.name[:MAX_LOGGED] for read in request.reads],
                purpose=NOT_GRANTED,
            )
            grant = self._read_grant(request.grant)
            entry.update(purpose=grant.purpose[:MAX_LOGGED])
            self._ended.check(grant)
            drafts = draft_reads(request, grant, self._now())
            with self._signed.signing(grant, request.request_id, self._now()):
                with tracing.span("sign reads", exchange=request.exchange, count=len(drafts)):
                    reads = await self._sign(request, drafts)
                self._ended.check(grant)  # its end may have been announced meanwhile
            return _sealed(SignedReads(reads), request)

    async def on_recorded(self, subject: str) -> None:
        """Stop signing for a sync whose outcome is in the database."""
        sync_id = subjects.recorded_sync(subject)
        if sync_id is not None:
            self._signed.drop(sync_id)
            self._ended.add(sync_id, self._now())

    async def _keep(self, request: Store, credential: Credential) -> None:
        """Keep a credential, with its own key or with the key of its offer."""
        if request.offer is not None:
            await self._credentials.store_offered(request.credential_id, credential, request.offer)
            return
        key = scheme_of(request.exchange, request.kind).key
        await self._credentials.store(request.credential_id, key, request.wrapped_secret, credential)

    async def _sign(self, request: Authorize, drafts: Sequence[Draft]) -> tuple[SignedRead, ...]:
        credential = await self._credentials.find(request.credential_id)
        if credential.exchange != request.exchange:
            raise failure(Code.GRANT_REFUSED, "the credential is for another exchange")
        kind = EXCHANGES[request.exchange].kind(credential.kind)
        if kind is None or not {field.key for field in kind.sealed_fields} <= credential.fields.keys():
            raise failure(Code.CREDENTIAL_MISSING)  # submitted before the exchange's keys got another field
        scheme = scheme_of(request.exchange, kind.key)
        signatures = await self._credentials.sign(
            credential.offer or request.credential_id,
            scheme.key,
            messages(scheme, drafts, credential.fields),
            credential.engine,
        )
        return sign_reads(scheme, drafts, credential.fields, signatures)

    def _read_grant(self, text: str) -> Grant:
        try:
            return read_grant(text, self._gateway_keys, self._now())
        except GrantOver as error:
            raise self._late(Code.GRANT_REFUSED, str(error)) from None
        except GrantRefused as error:
            raise failure(Code.GRANT_REFUSED, str(error)) from None

    def _check_signature(self, action: str, request: Store | Destroy | OfferKey) -> None:
        """Refuse a wrong signature; a gateway of an earlier release signs nothing, but knows no offers."""
        tries = isinstance(request, Store) and request.offer is not None
        if request.signature is None and not isinstance(request, OfferKey) and not tries:
            log.warning(UNSIGNED[action], credential_id=request.credential_id)
            metrics.UNSIGNED.labels(action).inc()
            return
        try:
            check_request(request, self._gateway_keys)
        except GrantRefused as error:
            raise failure(Code.GRANT_REFUSED, str(error)) from None

    def _check_deadline(self, deadline: datetime) -> None:
        """Refuse a store after its deadline, or with an implausible deadline while our clock may be wrong."""
        if deadline.tzinfo is None:
            raise failure(Code.DEADLINE_EXCEEDED, "the gateway waits no longer")
        left = (deadline - self._now()).total_seconds()
        if left < -self._lateness:
            raise self._late(Code.DEADLINE_EXCEEDED, "the gateway waits no longer")
        if self._disagrees() and left > STORE_SECONDS + self._lateness:
            raise failure(Code.CLOCK_DISAGREES, CLOCK_WORDS)

    def _late(self, code: Code, detail: str) -> Failure:
        """Return the refusal of a late request; while our clock may be wrong, it is clock_disagrees."""
        return failure(Code.CLOCK_DISAGREES, CLOCK_WORDS) if self._disagrees() else failure(code, detail)


def _kind_of(exchange: Exchange, key: str, *, born: bool) -> CredentialKind:
    """Return a kind of key; raises Failure if the exchange lacks it, or has it the other way."""
    kind = exchange.kind(key)
    if kind is None or kind.born != born:
        raise failure(Code.INVALID_REQUEST, "the exchange has no such kind of key")
    return kind


def _open_fields(request: Store, kind: CredentialKind, keys: SealingKeys) -> Fields:
    """Open the fields that the gateway sealed.

    Raises Failure: keys_changed if it used a key that is not live, invalid_request for fields that are not
    valid for the exchange.
    """
    key = keys.find(request.sealing_key_id)
    if key is None:
        raise failure(Code.KEYS_CHANGED, "the credential is sealed to another key")
    try:
        plain = key.open(request.sealed_parts, subjects.STORE, request.credential_id, request.request_id)
    except SealBroken as error:
        raise failure(Code.INVALID_REQUEST, str(error)) from None
    fields: Fields = decode(plain, Fields)
    wrong = wrong_fields(EXCHANGES[request.exchange], kind.sealed_fields, fields)
    if wrong:
        raise failure(Code.INVALID_REQUEST, " ".join(wrong.values()))
    return fields


def _sealed(reads: SignedReads, request: Authorize) -> Authorized:
    """Seal the signed reads so that only the asking worker can open them."""
    plain = encode(reads)
    try:
        sealed = seal(plain, request.seal_to, subjects.AUTHORIZE, request.credential_id, request.request_id)
    except ValueError:
        raise failure(Code.INVALID_REQUEST, "the key to seal to is not a valid key") from None
    return Authorized(sealed)


@asynccontextmanager
async def _audited(action: str, body: bytes = b"") -> AsyncIterator[dict[str, Any]]:
    """Set a timeout for an action and log its result; the caller adds details to the entry."""
    entry: dict[str, Any] = {"action": action}
    outcome: str = Code.INTERNAL_ERROR
    try:
        async with _deadline():
            yield entry
        outcome = "done"
    except Malformed as error:
        outcome = Code.INVALID_REQUEST
        entry.update(detail=str(error), credential_id=_claimed(body))
        raise
    except Failure as error:
        outcome = error.code
        entry.update(detail=error.detail)
        raise
    finally:
        _record(entry, outcome)


def _claimed(body: bytes) -> UUID | None:
    with suppress(Malformed):
        claim: _Claim = decode(body, _Claim)
        return claim.credential_id
    return None


@asynccontextmanager
async def _deadline() -> AsyncIterator[None]:
    """Turn the vault's refusals and timeouts into VaultUnavailable."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            yield
    except TimeoutError:
        raise VaultUnavailable("the vault does not answer in time") from None
    except VaultAnswer as error:
        reason = type(error).__name__.lower()
        raise VaultUnavailable(f"the vault refuses what the broker needs: {reason}") from None


def _record(entry: dict[str, Any], outcome: str) -> None:
    """Log one audit line, with only the id of the credential, and count signatures."""
    log.info("audit", **entry, outcome=str(outcome))
    if entry["action"] == "authorize":
        exchange = entry.get("exchange", "")
        label = exchange if exchange in EXCHANGES else "unknown"
        metrics.SIGNATURES.labels(label, str(outcome)).inc(len(entry.get("reads", ())) or 1)
