"""The client of the vault-broker: stores and destroys credentials, and has keys made for offers."""

from datetime import UTC, datetime
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from chassis import metrics
from chassis.bus.connection import Bus
from contracts import subjects
from contracts.credentials import (
    STORE_SECONDS,
    AskKeys,
    Destroy,
    DestroyReply,
    Fields,
    Keys,
    KeysReply,
    OfferKey,
    OfferReply,
    Refused,
    Store,
    StoreReply,
)
from contracts.exchanges.keys import CredentialKind
from contracts.exchanges.types import Exchange
from contracts.faults import Code
from contracts.wire.envelope import encode
from contracts.wire.fields import key_bytes
from contracts.wire.grants import sign_request
from contracts.wire.sealing import seal
from gateway.accounts.credentials import KeysRefused, Pinned, wrap_secret
from gateway.errors import VaultNotTrusted
from gateway.store.clock import DatabaseTime
from gateway.wording import in_own_words

UNANSWERED = Code.SIGNING_UNAVAILABLE

log = structlog.get_logger()


class Broker:
    """The client of the vault-broker; holds only pinned public keys of it.

    It signs its requests with `key`, which also signs the grants.
    """

    def __init__(self, bus: Bus, pinned: Pinned, key: Ed25519PrivateKey) -> None:
        self._bus = bus
        self._pinned = pinned
        self._key = key
        self._keys: Keys | None = None

    async def store(  # noqa: PLR0913 - the parts of a credential
        self,
        credential_id: UUID,
        exchange: Exchange,
        fields: Fields,
        begun: DatabaseTime | None = None,
        *,
        kind: CredentialKind | None = None,
        offer: UUID | None = None,
    ) -> None:
        """Store a new credential, with all fields of its kind, in the vault.

        Without a kind it is of the first typed kind of its exchange; a born kind needs an `offer`.

        Raises Failure, or VaultNotTrusted if the vault's keys are not pinned. After either error the caller
        must doom the credential. The deadline follows the clock of `begun`, or ours if it is None. After a
        refusal the next call fetches the keys again, because they may have changed.
        """
        kind = kind or exchange.typed[0]
        secret = _secret_of(kind, fields)
        others = encode({field.key: fields[field.key] for field in kind.sealed_fields})
        keys = self._keys or await self._fetch_keys()
        request_id = uuid7()
        request = Store(
            request_id=request_id,
            credential_id=credential_id,
            exchange=exchange.key,
            sealing_key_id=keys.sealing_key_id,
            wrapped_secret=b"" if secret is None else wrap_secret(secret, keys.wrapping_key),
            sealed_parts=seal(others, keys.sealing_key, subjects.STORE, credential_id, request_id),
            deadline=_deadline(begun),
            kind="" if kind == exchange.typed[0] else kind.key,
            offer=offer,
        )
        reply: StoreReply = await self._bus.request(
            subjects.STORE, sign_request(request, self._key), StoreReply, STORE_SECONDS, UNANSWERED
        )
        if isinstance(reply, Refused):
            self._keys = None
            raise in_time(reply).failure()

    async def offer(self, offer_id: UUID, exchange: str, kind: str, begun: DatabaseTime) -> bytes:
        """Have a signing key made in the vault, and return the raw public key.

        Raises Failure; after it the caller must end the offer, because the key may be there.
        """
        request = OfferKey(uuid7(), offer_id, exchange, kind, _deadline(begun))
        reply: OfferReply = await self._bus.request(
            subjects.OFFER, sign_request(request, self._key), OfferReply, STORE_SECONDS, UNANSWERED
        )
        if isinstance(reply, Refused):
            raise in_time(reply).failure()
        return reply.public_key

    async def destroy(self, credential_id: UUID) -> None:
        """Destroy a credential; raises Failure when its destruction is not certain."""
        request = sign_request(Destroy(credential_id, uuid7()), self._key)
        reply: DestroyReply = await self._bus.request(
            subjects.DESTROY, request, DestroyReply, STORE_SECONDS, UNANSWERED
        )
        if isinstance(reply, Refused):
            raise in_own_words(reply).failure()

    async def _fetch_keys(self) -> Keys:
        reply: KeysReply = await self._bus.request(
            subjects.KEYS, AskKeys(), KeysReply, STORE_SECONDS, UNANSWERED
        )
        if isinstance(reply, Refused):
            raise in_own_words(reply).failure()
        try:
            self._pinned.check(reply)
        except KeysRefused as refused:
            metrics.KEYS_REFUSED.labels(str(refused)).inc()
            log.error("keys_not_pinned", key=str(refused))
            raise VaultNotTrusted from None
        self._keys = reply
        return reply


def _secret_of(kind: CredentialKind, fields: Fields) -> bytes | None:
    """Return the bytes of the field that signs; None for a key that was born in the vault."""
    signing = kind.signing_field
    return None if signing is None else key_bytes(signing, fields[signing.key])


def _deadline(begun: DatabaseTime | None) -> datetime:
    return (begun or DatabaseTime.just(datetime.now(UTC))).after(STORE_SECONDS)


def in_time(reply: Refused, exchange: str | None = None) -> Refused:
    """Return a refusal that arrived before the deadline, in known words only.

    A refusal for lateness becomes `clock_disagrees`, because a clock must be wrong.
    """
    if reply.code != Code.DEADLINE_EXCEEDED:
        return in_own_words(reply, exchange)
    return Refused(Code.CLOCK_DISAGREES, "A part of the system read this request as a late one.")
