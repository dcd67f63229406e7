"""The credentials in the vault: create, use and destroy them at these paths.

<engine>/keys/<credential_id>            the signing field, a key that cannot be exported
<engine>/keys/<offer_id>                 a signing key that was born here, for the credentials of a key offer
secret/data/credentials/<credential_id>  exchange, engine and other fields; a credential exists when this does
secret/data/credentials/<offer_id>       exchange, kind and engine of an offer, which exists when this does
secret/data/engines                      the transit engines, made by provisioning and rotations
secret/data/sealing-key                  the key pairs that all brokers share, made by provisioning
"""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import msgspec

from contracts.credentials import Fields
from contracts.exchanges.keys import ENGINE, KIND, OFFER, RESERVED, RESERVED_NAMES
from contracts.faults import Code, Failure, failure
from contracts.values import MIN_KEY_BYTES, Secret
from vault_broker.engines import Engines
from vault_broker.errors import Absent, Denied, Rejected, VaultAnswer, VaultUnavailable
from vault_broker.paths import EARLIER_SEALING_KEY, ENGINES, SEALING_KEY, TRANSIT
from vault_broker.recent import Recent
from vault_broker.schemes.types import TransitKey
from vault_broker.sealing_keys import SealingKeys, SealingRecord
from vault_broker.vault import Answer, Part, read_answer
from vault_broker.vault_login import Login

UNDO_TIMEOUT = 2.0
# A record that a person has changed has a later version, and is read each time.
WRITTEN_ONCE = 1
_SIGNATURE_PREFIX = "vault:v1:"
TAKEN = "this credential id is taken"

# The vault answers every failed import with status 500, so only its text shows the cause.
_IMPORT_FAILURES = (
    ("existing key", Code.INVALID_REQUEST, TAKEN),
    ("invalid key size", Code.SECRET_UNUSABLE, f"the vault takes secrets of {MIN_KEY_BYTES} to 512 bytes"),
    ("decryption error", Code.KEYS_CHANGED, "the secret is not wrapped with the vault's key"),
    ("unwrap failed", Code.INVALID_REQUEST, "the wrapped secret is damaged"),
    ("too short", Code.INVALID_REQUEST, "the wrapped secret is damaged"),
)
_KEY_MISSING = ("no existing key", "not found")


class Credential(msgspec.Struct, frozen=True):
    """The exchange and the fields of a credential, without the signing field, and the engine that has it.

    `kind` is the kind of the key, empty for the first typed one. The key of the `offer` signs for a
    credential of a born kind. An offer is a credential without fields, and without an offer.
    """

    exchange: str
    fields: Fields
    engine: str = TRANSIT
    kind: str = ""
    offer: UUID | None = None


class _Version(msgspec.Struct):
    version: int


class _Record(msgspec.Struct):
    data: Fields
    metadata: _Version


class _WrappingKey(msgspec.Struct):
    public_key: str


class _PublicKey(msgspec.Struct):
    public_key: str = ""


class _BornKey(msgspec.Struct):
    """A key as the vault describes it; only one that is asymmetric has public halves, by version."""

    type: str
    keys: dict[str, _PublicKey | int] = {}


class _Signature(msgspec.Struct):
    hmac: str = ""
    signature: str = ""
    error: str = ""


class _Signatures(msgspec.Struct):
    batch_results: tuple[_Signature, ...]


class Credentials:
    """The credentials that the broker may create, use and destroy, but not list or export."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._recent: Recent[Credential] = Recent()

    async def wrapping_key(self) -> str:
        """Return the public key (PEM, RSA-4096) with which gateways wrap secrets for import."""
        engine = (await self.engines()).newest
        answer = await self._login.request("GET", f"{engine}/wrapping_key")
        return _data(answer, _WrappingKey).public_key

    async def engines(self) -> Engines:
        """Return the engines, as they are now: a rotation may add one."""
        with suppress(Absent, Denied):
            return await self._read(ENGINES, Engines)
        return Engines()

    async def sealing_keys(self) -> SealingKeys:
        """Return the key pairs that all brokers share; raises VaultUnavailable without a pair."""
        for path in (SEALING_KEY, EARLIER_SEALING_KEY):
            with suppress(Absent, Denied):
                return SealingKeys.of(await self._read(path, SealingRecord))
        raise VaultUnavailable("the vault holds no sealing key: it must be provisioned")

    async def store(
        self, credential_id: UUID, key: TransitKey, wrapped_secret: bytes, credential: Credential
    ) -> None:
        """Store a new credential with a signing key of kind `key`, completely or not at all.

        Raises Failure: invalid_request for an id that was used before, secret_unusable, keys_changed.
        """
        engine = (await self.engines()).newest
        await self._import(engine, credential_id, key, wrapped_secret)
        try:
            await self._create(engine, credential_id, credential)
        except BaseException:
            await self._undo(credential_id)
            raise

    async def offer(self, offer_id: UUID, exchange: str, kind: str, key: TransitKey) -> bytes:
        """Make a signing key for an offer, and return the raw public key.

        The record is the commit point. A failed offer is not undone here, because a repeated request must not
        destroy the key of the first: the gateway destroys it. Raises Failure(invalid_request) for an id that
        was used before.
        """
        engine = (await self.engines()).newest
        answer = await self._login.request("POST", f"{engine}/keys/{offer_id}", {"type": key.type})
        made = _data(answer, _BornKey)
        version = made.keys.get("1")
        if made.type != key.type or not isinstance(version, _PublicKey):
            raise failure(Code.INVALID_REQUEST, TAKEN)
        await self._create_once(engine, offer_id, Credential(exchange, {}, engine, kind))
        return b64decode(version.public_key)

    async def store_offered(self, credential_id: UUID, credential: Credential, offer: UUID) -> None:
        """Store a new credential for which the key of an offer signs; nothing is imported.

        Raises Failure: credential_missing if the vault has no such offer, invalid_request for an offer of
        another exchange or kind, and for an id that was used before.
        """
        found = await self.find(offer)
        is_offer = not found.fields and found.offer is None
        kept = (credential.exchange, credential.kind)
        if not is_offer or (found.exchange, found.kind) != kept:
            raise failure(Code.INVALID_REQUEST, "the offer is for another kind of key")
        named = msgspec.structs.replace(credential, engine=found.engine, offer=offer)
        await self._create_once(found.engine, credential_id, named)

    async def find(self, credential_id: UUID) -> Credential:
        """Return the exchange and the other fields; raises Failure(credential_missing).

        They may have been read some seconds ago.
        """
        if (recent := self._recent.find(credential_id)) is not None:
            return recent
        try:
            answer = await self._login.request("GET", f"secret/data/credentials/{credential_id}")
        except Absent:
            raise failure(Code.CREDENTIAL_MISSING) from None
        record = _data(answer, _Record)
        fields = record.data
        reserved = {name: fields.pop(name, Secret("")).reveal() for name in RESERVED_NAMES}
        engine, offer = reserved[ENGINE] or TRANSIT, reserved[OFFER]
        named = UUID(offer) if offer else None
        credential = Credential(reserved[RESERVED], fields, engine, reserved[KIND], named)
        if record.metadata.version == WRITTEN_ONCE:
            self._recent.keep(credential_id, credential)
        return credential

    async def sign(
        self, credential_id: UUID, key: TransitKey, messages: Sequence[bytes], engine: str = TRANSIT
    ) -> list[str]:
        """Sign all messages with one request; return each signature as the vault writes it, in base64.

        Raises Failure(credential_missing) if the vault has no key with this id.
        """
        batch = [{"input": b64encode(message).decode()} for message in messages]
        try:
            answer = await self._login.request(
                "POST", key.path(str(credential_id), engine), {"batch_input": batch, **key.parameters}
            )
        except VaultAnswer as error:
            self._recent.forget(credential_id)
            if isinstance(error, Rejected) and "key not found" in error.reason:
                raise failure(Code.CREDENTIAL_MISSING) from None
            raise
        results = [each.hmac or each.signature for each in _data(answer, _Signatures).batch_results]
        if len(results) != len(batch) or not all(each.startswith(_SIGNATURE_PREFIX) for each in results):
            raise VaultUnavailable("the vault did not sign every message")
        return [each.removeprefix(_SIGNATURE_PREFIX) for each in results]

    async def destroy(self, credential_id: UUID) -> None:
        """Delete all parts of a credential from the vault; already deleted counts as success."""
        self._recent.forget(credential_id)
        for engine in (await self.engines()).transit:
            await self._destroy_key(f"{engine}/keys/{credential_id}")
        await self._login.request("DELETE", f"secret/metadata/credentials/{credential_id}")

    async def _destroy_key(self, key: str) -> None:
        try:
            await self._login.request("POST", f"{key}/config", {"deletion_allowed": True})
            await self._login.request("DELETE", key)
        except Absent:
            return  # a rotation has just removed the engine, because it had no key
        except Rejected as error:
            if not any(text in error.reason for text in _KEY_MISSING):
                raise

    async def _import(self, engine: str, credential_id: UUID, key: TransitKey, wrapped_secret: bytes) -> None:
        body = {
            "type": key.type,
            "hash_function": "SHA256",
            "exportable": False,
            "ciphertext": b64encode(wrapped_secret).decode(),
        }
        try:
            await self._login.request("POST", f"{engine}/keys/{credential_id}/import", body)
        except Rejected as error:
            for text, code, detail in _IMPORT_FAILURES:
                if text in error.reason:
                    raise failure(code, detail) from None
            raise

    async def _undo(self, credential_id: UUID) -> None:
        """Try to delete a half-stored credential; if that fails, the gateway's sweeper destroys it later."""
        with suppress(Failure, VaultAnswer, TimeoutError):
            async with asyncio.timeout(UNDO_TIMEOUT):
                await self.destroy(credential_id)

    async def _read(self, path: str, kind: type[Part]) -> Part:
        answer = await self._login.request("GET", path)
        return _data({"data": (answer.get("data") or {}).get("data")}, kind)

    async def _create_once(self, engine: str, credential_id: UUID, credential: Credential) -> None:
        """Write the record of a new credential; raises Failure(invalid_request) if it already exists."""
        try:
            await self._create(engine, credential_id, credential)
        except (Rejected, Denied) as error:
            if isinstance(error, Denied) and not await self._exists(credential_id):
                raise
            raise failure(Code.INVALID_REQUEST, TAKEN) from None

    async def _exists(self, credential_id: UUID) -> bool:
        with suppress(Absent):
            await self._login.request("GET", f"secret/data/credentials/{credential_id}")
            return True
        return False

    async def _create(self, engine: str, credential_id: UUID, credential: Credential) -> None:
        """Write the record of a new credential; raises Rejected or Denied if it already exists."""
        data = {name: value.reveal() for name, value in credential.fields.items()}
        data |= {RESERVED: credential.exchange}
        if engine != TRANSIT:
            data |= {ENGINE: engine}
        if credential.kind:
            data |= {KIND: credential.kind}
        if credential.offer:
            data |= {OFFER: str(credential.offer)}
        body = {"options": {"cas": 0}, "data": data}
        await self._login.request("POST", f"secret/data/credentials/{credential_id}", body)


def _data(answer: Answer, kind: type[Part]) -> Part:
    return read_answer(answer.get("data"), kind)
