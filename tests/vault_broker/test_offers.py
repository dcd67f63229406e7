"""Keys that are born in the vault: offered with their public half, never exported, gone with their offer."""

from base64 import b64decode
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from contracts.credentials import Destroyed, KeyOffered, Keys, OfferKey, Refused, Stored
from contracts.exchanges.types import Read
from contracts.faults import Code
from contracts.wire.grants import sign_request
from deploy.vault.engines import KIND, Engines, admit, write
from deploy.vault.policy import broker_policy
from tests.vault_broker.asking import code
from tests.vault_broker.conftest import Callers
from tests.vault_broker.test_keep import traces
from tests.vault_broker.vaults import OwnVault

READS = (Read("account"),)


async def offered(callers: Callers) -> tuple[UUID, bytes]:
    """Make an offer, and return its id and its public key."""
    request = callers.gateway.offering()
    reply = await callers.gateway.offer(request)
    assert isinstance(reply, KeyOffered), reply
    return request.offer_id, reply.public_key


async def tried(callers: Callers, named: UUID, **altered: Any) -> tuple[UUID, Any]:
    """Store a credential of an offer, and return its id and the answer."""
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    request = callers.gateway.trying(keys, **{"offer": named} | altered)
    return request.credential_id, await callers.gateway.store(request)


async def signed_target(callers: Callers, credential: UUID) -> str:
    """Have a read signed, and return its target."""
    grant = callers.gateway.grant(credential, exchange="binance")
    request = callers.worker.request(credential, grant, READS, "binance")
    return (await callers.worker.signed(request)).reads[0].target


def verify(public_key: bytes, target: str) -> None:
    """Check that a key signed a target; raises InvalidSignature."""
    query, _, signature = target.partition("?")[2].rpartition("&signature=")
    raw = b64decode(unquote(signature))
    Ed25519PublicKey.from_public_bytes(public_key).verify(raw, query.encode())


async def test_the_private_half_never_leaves_the_vault(callers: Callers, own_vault: OwnVault) -> None:
    """An offer is an Ed25519 key that even root can neither export nor back up; the record names it."""
    offer, public_key = await offered(callers)

    key = (await own_vault.root("GET", f"transit/keys/{offer}"))["data"]
    assert (key["type"], key["exportable"], key["allow_plaintext_backup"]) == ("ed25519", False, False)
    assert b64decode(key["keys"]["1"]["public_key"]) == public_key
    for path in (f"transit/export/signing-key/{offer}", f"transit/backup/{offer}"):
        assert await own_vault.status("GET", path) in (400, 500)
    kept = (await own_vault.root("GET", f"secret/data/credentials/{offer}"))["data"]["data"]
    assert kept == {"exchange": "binance", "kind": "born"}


async def test_each_try_is_a_credential_that_the_offered_key_signs_for(
    callers: Callers, own_vault: OwnVault
) -> None:
    """Two credentials of one offer sign with its key; destroying one of them leaves the other and the key."""
    offer, public_key = await offered(callers)
    first, reply = await tried(callers, offer)
    second, again = await tried(callers, offer)
    assert isinstance(reply, Stored)
    assert isinstance(again, Stored)
    verify(public_key, await signed_target(callers, first))
    kept = (await own_vault.root("GET", f"secret/data/credentials/{second}"))["data"]["data"]
    assert kept == {"exchange": "binance", "kind": "born", "offer": str(offer), "api_key": "key"}

    assert isinstance(await callers.gateway.destroy(first), Destroyed)

    assert await traces(own_vault, first) == set()
    verify(public_key, await signed_target(callers, second))
    assert await traces(own_vault, offer) == {"key", "parts"}


async def test_a_destroyed_offer_signs_no_more(callers: Callers, own_vault: OwnVault) -> None:
    """Destroying an offer as any credential deletes its key; its credentials sign nothing then."""
    offer, _ = await offered(callers)
    credential, _ = await tried(callers, offer)
    assert isinstance(await callers.gateway.destroy(offer), Destroyed)

    assert await traces(own_vault, offer) == set()
    grant = callers.gateway.grant(credential, exchange="binance")
    reply = await callers.worker.authorize(callers.worker.request(credential, grant, READS, "binance"))
    assert code(reply) == Code.CREDENTIAL_MISSING
    assert code((await tried(callers, offer))[1]) == Code.CREDENTIAL_MISSING


async def test_an_offer_is_made_in_the_newest_engine(callers: Callers, own_vault: OwnVault) -> None:
    """After a rotation the key is born in the new engine; the records name it, and destroying finds it."""
    await own_vault.root("POST", "sys/mounts/transit-9", KIND)
    engines = Engines(("transit-9", "transit"))
    await admit(own_vault.client, engines)
    await write(own_vault.client, engines)
    try:
        offer, public_key = await offered(callers)
        credential, _ = await tried(callers, offer)
        verify(public_key, await signed_target(callers, credential))
        kept = (await own_vault.root("GET", f"secret/data/credentials/{credential}"))["data"]["data"]
        assert kept["engine"] == "transit-9"
        assert await own_vault.status("GET", f"transit-9/keys/{offer}") == 200
        await callers.gateway.destroy(offer)
        assert await own_vault.status("GET", f"transit-9/keys/{offer}") == 404
    finally:
        await write(own_vault.client, Engines())
        await admit(own_vault.client, Engines())
        await own_vault.root("DELETE", "sys/mounts/transit-9")


async def test_a_repeated_request_destroys_and_changes_nothing(callers: Callers, own_vault: OwnVault) -> None:
    """A recorded request for an offer, sent again, is refused, and the first key stays as it is."""
    request = callers.gateway.offering()
    first = await callers.gateway.offer(request)

    assert code(await callers.gateway.offer(request)) == Code.INVALID_REQUEST

    assert isinstance(first, KeyOffered)
    assert await traces(own_vault, request.offer_id) == {"key", "parts"}
    credential, _ = await tried(callers, request.offer_id)
    verify(first.public_key, await signed_target(callers, credential))


async def test_an_offer_under_the_id_of_a_credential_is_refused(
    callers: Callers, own_vault: OwnVault
) -> None:
    """No request for an offer takes over the key of a stored credential, or gives it another record."""
    credential = await callers.gateway.stored("22582BD0CFF14C41EDBF1AB98506286D", "key", "words")
    request = msgspec.structs.replace(callers.gateway.offering(), offer_id=credential)

    assert code(await callers.gateway.offer(callers.gateway.signed(request))) == Code.INVALID_REQUEST

    key = (await own_vault.root("GET", f"transit/keys/{credential}"))["data"]
    assert key["type"] == "hmac"


@pytest.mark.parametrize(
    ("exchange", "kind"), [("okx", "born"), ("binance", "hmac"), ("binance", ""), ("nowhere", "born")]
)
async def test_only_a_born_kind_is_offered(
    callers: Callers, own_vault: OwnVault, exchange: str, kind: str
) -> None:
    """An exchange without a born kind, a typed kind, and an unknown exchange get no key."""
    request = callers.gateway.offering(exchange, kind)

    assert code(await callers.gateway.offer(request)) == Code.INVALID_REQUEST
    assert await traces(own_vault, request.offer_id) == set()


async def test_an_offer_needs_the_gateway_s_signature_and_its_deadline(
    callers: Callers, own_vault: OwnVault
) -> None:
    """Without the signature, with another one, and after the deadline no key is made."""
    right = callers.gateway.offering()
    unsigned = msgspec.structs.replace(right, signature=None)
    forged = sign_request(right, Ed25519PrivateKey.generate())
    late = callers.gateway.signed(
        msgspec.structs.replace(right, deadline=callers.clock() - timedelta(seconds=1))
    )
    requests: tuple[OfferKey, ...] = (unsigned, forged, late)

    codes = [code(await callers.gateway.offer(each)) for each in requests]

    assert codes == [Code.GRANT_REFUSED, Code.GRANT_REFUSED, Code.DEADLINE_EXCEEDED]
    assert await traces(own_vault, right.offer_id) == set()


async def test_a_try_needs_the_gateway_s_signature(callers: Callers, own_vault: OwnVault) -> None:
    """Only gateways of before offers sign nothing: no unsigned request puts an API key beside a born key."""
    offer, _ = await offered(callers)
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    request = msgspec.structs.replace(callers.gateway.trying(keys, offer=offer), signature=None)

    assert code(await callers.gateway.store(request)) == Code.GRANT_REFUSED

    assert await traces(own_vault, request.credential_id) == set()


@pytest.mark.parametrize(
    "altered",
    [
        {"offer": None},
        {"kind": "hmac"},
        {"kind": ""},
        {"exchange": "okx", "kind": ""},
        {"exchange": "okx", "kind": "born"},
    ],
    ids=lambda altered: " ".join(f"{name}={value}" for name, value in altered.items()),
)
async def test_a_credential_fits_its_offer(
    callers: Callers, own_vault: OwnVault, altered: dict[str, Any]
) -> None:
    """A born kind needs an offer, a typed kind has none, and the exchange matches the offer."""
    offer, _ = await offered(callers)

    credential, reply = await tried(callers, offer, **altered)

    assert code(reply) == Code.INVALID_REQUEST
    assert await traces(own_vault, credential) == set()


async def test_only_an_offer_signs_for_others(callers: Callers, own_vault: OwnVault) -> None:
    """The broker refuses a credential that names another credential in place of an offer."""
    offer, _ = await offered(callers)
    other, _ = await tried(callers, offer)

    for named in (other, await callers.gateway.stored("22582BD0CFF14C41EDBF1AB98506286D", "key", "words")):
        credential, reply = await tried(callers, named)
        assert code(reply) == Code.INVALID_REQUEST
        assert await traces(own_vault, credential) == set()
    assert code((await tried(callers, uuid7()))[1]) == Code.CREDENTIAL_MISSING


async def test_an_offer_is_audited(callers: Callers) -> None:
    """The log names the offer and the exchange, and holds no key."""
    with capture_logs() as logs:
        offer, _ = await offered(callers)

    (line,) = [each for each in logs if each["event"] == "audit"]
    assert line == {
        "event": "audit",
        "log_level": "info",
        "action": "offer",
        "credential_id": offer,
        "exchange": "binance",
        "outcome": "done",
    }


async def test_a_broker_without_the_right_offers_nothing(callers: Callers, own_vault: OwnVault) -> None:
    """Under the policy of the release before an offer fails with words, and leaves nothing."""
    await own_vault.root("PUT", "sys/policies/acl/vault-broker", {"policy": broker_policy(born=())})
    request = callers.gateway.offering()
    try:
        reply = await callers.gateway.offer(request)
    finally:
        await own_vault.root("PUT", "sys/policies/acl/vault-broker", {"policy": broker_policy()})

    assert isinstance(reply, Refused)
    assert (reply.code, "refuses what the broker needs" in reply.detail) == (Code.VAULT_UNAVAILABLE, True)
    assert await traces(own_vault, request.offer_id) == set()
