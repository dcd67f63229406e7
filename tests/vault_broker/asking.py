"""The gateway's and the worker's side of the broker's protocol."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from contracts import subjects
from contracts.credentials import (
    AskKeys,
    Authorize,
    Authorized,
    AuthorizeReply,
    Destroy,
    DestroyReply,
    Keys,
    KeysReply,
    OfferKey,
    OfferReply,
    SignedReads,
    Store,
    StoreReply,
)
from contracts.exchanges.types import Read
from contracts.faults import Code
from contracts.values import Secret
from contracts.wire.envelope import decode, encode
from contracts.wire.grants import Grant, Signable, sign_grant, sign_request, sync_purpose
from contracts.wire.sealing import SealingKey, seal

SECONDS = 10.0
ALL_READS = (
    Read("account_config"),
    Read("account_balance"),
    Read("asset_balances"),
    Read("asset_valuation", {"ccy": "USD"}),
)


def wrap(secret: bytes, wrapping_key: str) -> bytes:
    """Wrap a secret for transit import: a fresh AES key under RSA-OAEP-SHA256, the secret under AES-KWP."""
    public_key = load_pem_public_key(wrapping_key.encode())
    assert isinstance(public_key, rsa.RSAPublicKey)
    key = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return public_key.encrypt(key, oaep) + keywrap.aes_key_wrap_with_padding(key, secret)


class Gateway:
    """A gateway as the broker sees it."""

    def __init__(self, bus: Bus, grant_key: Ed25519PrivateKey, now: Callable[[], datetime]) -> None:
        self.bus = bus
        self._grant_key = grant_key
        self._now = now

    async def keys(self) -> KeysReply:
        """Request the keys."""
        reply: KeysReply = await _ask(self.bus, subjects.KEYS, AskKeys(), KeysReply)
        return reply

    async def stored(self, secret: str, api_key: str, passphrase: str) -> UUID:
        """Store a credential and return its id."""
        keys = await self.keys()
        assert isinstance(keys, Keys)
        request = self.store_request(keys, secret.encode(), api_key, passphrase)
        reply = await self.store(request)
        assert type(reply).__name__ == "Stored", reply
        return request.credential_id

    def store_request(
        self, keys: Keys, secret: bytes, api_key: str = "key", passphrase: str = "words"
    ) -> Store:
        """Return a request to store a new credential."""
        return self.sealing(
            keys, secret, encode({"api_key": Secret(api_key), "passphrase": Secret(passphrase)})
        )

    def sealing(self, keys: Keys, secret: bytes, plain: bytes) -> Store:
        """Return a request to store a new credential whose other fields are these bytes."""
        credential_id, request_id = uuid7(), uuid7()
        sealed = seal(plain, keys.sealing_key, subjects.STORE, credential_id, request_id)
        wrapped = wrap(secret, keys.wrapping_key)
        deadline = self._now() + timedelta(seconds=8)
        request = Store(request_id, credential_id, "okx", keys.sealing_key_id, wrapped, sealed, deadline)
        return sign_request(request, self._grant_key)

    async def store(self, request: Store) -> StoreReply:
        """Send a request to store."""
        reply: StoreReply = await _ask(self.bus, subjects.STORE, request, StoreReply)
        return reply

    def offering(self, exchange: str = "binance", kind: str = "born") -> OfferKey:
        """Return a request for the key of a new offer."""
        deadline = self._now() + timedelta(seconds=8)
        return self.signed(OfferKey(uuid7(), uuid7(), exchange, kind, deadline))

    async def offer(self, request: OfferKey) -> OfferReply:
        """Send a request for the key of an offer."""
        reply: OfferReply = await _ask(self.bus, subjects.OFFER, request, OfferReply)
        return reply

    def trying(self, keys: Keys, **altered: Any) -> Store:
        """Return a request to store a credential for which the key of an offer signs."""
        before = self.sealing(keys, b"none", encode({"api_key": Secret("key")}))
        told = {"exchange": "binance", "kind": "born", "wrapped_secret": b""}
        return self.signed(msgspec.structs.replace(before, **told | altered))

    def signed(self, request: Signable) -> Signable:
        """Return a request with the gateway's signature."""
        return sign_request(request, self._grant_key)

    async def destroy(self, credential_id: UUID) -> DestroyReply:
        """Ask to destroy a credential."""
        return await self.send_destroy(self.destroying(credential_id))

    def destroying(self, credential_id: UUID) -> Destroy:
        """Return a request to destroy a credential."""
        return sign_request(Destroy(credential_id, uuid7()), self._grant_key)

    async def send_destroy(self, request: Destroy) -> DestroyReply:
        """Send a request to destroy."""
        reply: DestroyReply = await _ask(self.bus, subjects.DESTROY, request, DestroyReply)
        return reply

    def grant(
        self, credential_id: UUID, purpose: str = "", *, exchange: str = "okx", seconds: int = 120
    ) -> str:
        """Sign a grant, for a sync by default."""
        deadline = self._now() + timedelta(seconds=seconds)
        purpose = purpose or sync_purpose(uuid7())
        return sign_grant(Grant(credential_id, exchange, purpose, deadline), self._grant_key)


class Worker:
    """A worker as the broker sees it, with its own key pair."""

    def __init__(self, bus: Bus, now: Callable[[], datetime]) -> None:
        self.bus = bus
        self._now = now
        self._key = SealingKey.generate()

    def request(
        self, credential_id: UUID, grant: str, reads: tuple[Read, ...] = ALL_READS, exchange: str = "okx"
    ) -> Authorize:
        """Return a request for signed reads, at the present time."""
        milliseconds = round(self._now().timestamp() * 1000)
        return Authorize(uuid7(), credential_id, exchange, milliseconds, reads, self._key.public, grant)

    async def authorize(self, request: msgspec.Struct) -> AuthorizeReply:
        """Send a request for signed reads."""
        reply: AuthorizeReply = await _ask(self.bus, subjects.AUTHORIZE, request, AuthorizeReply)
        return reply

    async def signed(self, request: Authorize) -> SignedReads:
        """Send a request and open the response."""
        reply = await self.authorize(request)
        assert isinstance(reply, Authorized), reply
        return self.open(reply, request)

    def open(self, reply: Authorized, request: Authorize) -> SignedReads:
        """Open a response to a request; raises SealBroken."""
        plain = self._key.open(
            reply.sealed_reads, subjects.AUTHORIZE, request.credential_id, request.request_id
        )
        reads: SignedReads = decode(plain, SignedReads)
        return reads


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        """Return the time that was set."""
        return self.time


def code(reply: Any) -> Code:
    """Return the code of a refusal."""
    refused: Code = reply.code
    return refused


async def _ask(bus: Bus, subject: str, message: msgspec.Struct, reply: Any) -> Any:
    return await bus.request(subject, message, reply, SECONDS, Code.SIGNING_UNAVAILABLE)
