"""Storing credentials: whole or not at all, never twice, and destroyed without a trace."""

import os
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from chassis.metrics import REGISTRY
from contracts.credentials import Destroy, Destroyed, Keys, Refused, Store, Stored
from contracts.faults import Code
from contracts.values import Secret
from contracts.wire.envelope import encode
from contracts.wire.grants import sign_request
from tests.vault_broker.asking import code, wrap
from tests.vault_broker.conftest import Callers
from tests.vault_broker.vaults import OwnVault

SECRET = b"22582BD0CFF14C41EDBF1AB98506286D"


async def traces(own_vault: OwnVault, credential: UUID) -> set[str]:
    """Return the names of a credential's parts in the vault."""
    paths = {"key": f"transit/keys/{credential}", "parts": f"secret/metadata/credentials/{credential}"}
    return {name for name, path in paths.items() if await own_vault.status("GET", path) == 200}


def unsigned(request: Store, **altered: object) -> Store:
    """Return a changed request without signature, as the release before sends it."""
    return msgspec.structs.replace(request, signature=None, **altered)


@pytest.fixture(name="request_")
async def _request(callers: Callers) -> Store:
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    return callers.gateway.store_request(keys, SECRET)


async def test_stored_key_can_not_be_exported(callers: Callers, own_vault: OwnVault, request_: Store) -> None:
    """The secret is an HMAC key that even root cannot export."""
    assert isinstance(await callers.gateway.store(request_), Stored)

    key = (await own_vault.root("GET", f"transit/keys/{request_.credential_id}"))["data"]
    assert (key["type"], key["exportable"], key["allow_plaintext_backup"]) == ("hmac", False, False)
    assert await own_vault.status("GET", f"transit/export/hmac-key/{request_.credential_id}") == 400


async def test_fields_stand_in_the_vault_as_the_release_before_wrote_them(
    callers: Callers, own_vault: OwnVault
) -> None:
    """Brokers and gateways of the previous release seal and read the same bytes, by field name."""
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    request = callers.gateway.sealing(keys, SECRET, b'{"api_key":"key","passphrase":"words"}')

    assert isinstance(await callers.gateway.store(request), Stored)

    kept = await own_vault.root("GET", f"secret/data/credentials/{request.credential_id}")
    assert kept["data"]["data"] == {"exchange": "okx", "api_key": "key", "passphrase": "words"}
    assert encode({"api_key": Secret("key"), "passphrase": Secret("words")}) == (
        b'{"api_key":"key","passphrase":"words"}'
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"api_key": "key"}, "The passphrase is missing."),
        ({"api_key": "", "passphrase": "words"}, "The api_key is empty."),
        ({"api_key": "key", "passphrase": "w\u00f6rds"}, "The passphrase holds a character"),
        ({"api_key": "key", "passphrase": "words", "exchange": "kraken"}, "There is an unknown field"),
        ({"api_key": "key", "passphrase": "words", "api_secret": "canary"}, "There is an unknown field"),
    ],
)
async def test_fields_that_the_exchange_does_not_take_are_refused(
    callers: Callers, own_vault: OwnVault, fields: dict[str, str], words: str
) -> None:
    """The broker checks the visible fields by the gateway's rules, and stores nothing if one fails."""
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    request = callers.gateway.sealing(keys, SECRET, msgspec.json.encode(fields))

    reply = await callers.gateway.store(request)

    assert isinstance(reply, Refused)
    assert (reply.code, reply.detail[: len(words)]) == (Code.INVALID_REQUEST, words)
    assert "canary" not in reply.detail
    assert await traces(own_vault, request.credential_id) == set()


async def test_second_store_of_an_id_is_refused(
    callers: Callers, own_vault: OwnVault, request_: Store
) -> None:
    """An id is stored once; a second try changes nothing."""
    assert isinstance(await callers.gateway.store(request_), Stored)
    assert code(await callers.gateway.store(request_)) == Code.INVALID_REQUEST
    assert {"key", "parts"} == await traces(own_vault, request_.credential_id)


@pytest.mark.parametrize(("length", "kept"), [(31, False), (32, True), (512, True), (513, False)])
async def test_secret_has_32_to_512_bytes(
    callers: Callers, own_vault: OwnVault, length: int, *, kept: bool
) -> None:
    """The vault accepts no shorter and no longer secret, and stores no part of such a credential."""
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    request = callers.gateway.store_request(keys, os.urandom(length))
    reply = await callers.gateway.store(request)

    assert isinstance(reply, Stored) if kept else code(reply) == Code.SECRET_UNUSABLE
    assert await traces(own_vault, request.credential_id) == ({"key", "parts"} if kept else set())


async def test_other_wrapping_key_means_that_the_keys_changed(
    callers: Callers, own_vault: OwnVault, request_: Store
) -> None:
    """A secret under a key that the vault does not have any more makes the gateway fetch the keys again."""
    other = rsa.generate_private_key(65537, 4096).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    stale = unsigned(request_, wrapped_secret=wrap(SECRET, pem))

    assert code(await callers.gateway.store(stale)) == Code.KEYS_CHANGED
    assert await traces(own_vault, request_.credential_id) == set()


async def test_other_sealing_key_means_that_the_keys_changed(callers: Callers, request_: Store) -> None:
    """Parts sealed to a key that the brokers do not have any more make the gateway fetch the keys again."""
    stale = unsigned(request_, sealing_key_id="0" * 16)

    assert code(await callers.gateway.store(stale)) == Code.KEYS_CHANGED


@pytest.mark.parametrize(
    "damage",
    [
        {"wrapped_secret": b""},
        {"wrapped_secret": b"short"},
        {"sealed_parts": b""},
        {"sealed_parts": bytes(100)},
        {"exchange": "nowhere"},
        {"request_id": uuid7()},
        {"credential_id": uuid7()},
    ],
    ids=["nothing wrapped", "short", "nothing sealed", "not sealed", "exchange", "request", "credential"],
)
async def test_damaged_request_is_invalid(
    callers: Callers, own_vault: OwnVault, request_: Store, damage: dict[str, object]
) -> None:
    """Requests that are cut, altered, or sealed for another request are refused before they are stored."""
    damaged = unsigned(request_, **damage)

    assert code(await callers.gateway.store(damaged)) == Code.INVALID_REQUEST
    assert await traces(own_vault, damaged.credential_id) == set()


async def test_half_stored_credential_is_taken_back(
    callers: Callers, own_vault: OwnVault, request_: Store
) -> None:
    """If the parts cannot be written, the imported secret is destroyed, too."""
    path = f"secret/data/credentials/{request_.credential_id}"
    await own_vault.root("POST", path, {"options": {"cas": 0}, "data": {"left": "over"}})

    assert isinstance(await callers.gateway.store(request_), Refused)
    assert await traces(own_vault, request_.credential_id) == set()


async def test_destroy_leaves_nothing_and_may_be_repeated(
    callers: Callers, own_vault: OwnVault, request_: Store
) -> None:
    """A destroyed credential is deleted; a second request is harmless."""
    assert isinstance(await callers.gateway.store(request_), Stored)
    for _ in range(2):
        assert isinstance(await callers.gateway.destroy(request_.credential_id), Destroyed)
        assert await traces(own_vault, request_.credential_id) == set()

    authorize = callers.worker.request(request_.credential_id, callers.gateway.grant(request_.credential_id))
    assert code(await callers.worker.authorize(authorize)) == Code.CREDENTIAL_MISSING


async def test_destroy_of_an_unknown_credential_is_done(callers: Callers) -> None:
    """A credential that never existed counts as destroyed."""
    assert isinstance(await callers.gateway.destroy(uuid7()), Destroyed)


@pytest.mark.parametrize("left", ["key", "parts"])
async def test_half_a_credential_can_not_sign_and_is_destroyed(
    callers: Callers, own_vault: OwnVault, request_: Store, left: str
) -> None:
    """A credential that was cut in the middle of being stored or destroyed counts as missing."""
    credential = request_.credential_id
    assert isinstance(await callers.gateway.store(request_), Stored)
    if left == "key":
        await own_vault.root("DELETE", f"secret/metadata/credentials/{credential}")
    else:
        await own_vault.root("POST", f"transit/keys/{credential}/config", {"deletion_allowed": True})
        await own_vault.root("DELETE", f"transit/keys/{credential}")
    assert await traces(own_vault, credential) == {left}

    authorize = callers.worker.request(credential, callers.gateway.grant(credential))
    assert code(await callers.worker.authorize(authorize)) == Code.CREDENTIAL_MISSING
    assert isinstance(await callers.gateway.destroy(credential), Destroyed)
    assert await traces(own_vault, credential) == set()


async def test_a_broker_makes_no_sealing_key(callers: Callers, own_vault: OwnVault) -> None:
    """In a vault without the key pair the broker reports that, and leaves it to provisioning."""
    places = ("secret/data/sealing-key", "secret/data/credentials/sealing-key")
    kept = {place: (await own_vault.root("GET", place))["data"]["data"] for place in places}
    for place in places:
        await own_vault.root("DELETE", place.replace("/data/", "/metadata/"))

    reply = await callers.gateway.keys()
    left = [await own_vault.status("GET", place) for place in places]
    for place, pair in kept.items():
        await own_vault.root("POST", place, {"data": pair})

    assert code(reply) == Code.VAULT_UNAVAILABLE
    assert left == [404, 404]
    assert isinstance(await callers.gateway.keys(), Keys)


async def test_a_store_after_its_deadline_is_refused(
    callers: Callers, own_vault: OwnVault, request_: Store
) -> None:
    """A request after the gateway's timeout is not stored, because it may have been destroyed already."""
    callers.clock.time += timedelta(seconds=9)

    assert code(await callers.gateway.store(request_)) == Code.DEADLINE_EXCEEDED

    assert await traces(own_vault, request_.credential_id) == set()


async def test_a_recorded_secret_is_not_stored_under_another_id(
    callers: Callers, own_vault: OwnVault, request_: Store
) -> None:
    """An attacker who records a message and seals own parts for a new id has no signature for it."""
    keys = await callers.gateway.keys()
    assert isinstance(keys, Keys)
    own = callers.gateway.store_request(keys, SECRET)
    for signature in (request_.signature, own.signature, "AAAA"):
        forged = msgspec.structs.replace(own, wrapped_secret=request_.wrapped_secret, signature=signature)
        assert code(await callers.gateway.store(forged)) == Code.GRANT_REFUSED

    assert await traces(own_vault, own.credential_id) == set()
    assert isinstance(await callers.gateway.store(request_), Stored)


async def test_a_store_of_the_release_before_is_kept_and_told(callers: Callers, request_: Store) -> None:
    """While gateways of the previous release run, a message without signature is stored with a warning."""
    with capture_logs() as logs:
        assert isinstance(await callers.gateway.store(unsigned(request_)), Stored)

    warnings = [line for line in logs if line["event"] == "store_unsigned"]
    assert [line["credential_id"] for line in warnings] == [request_.credential_id]


@pytest.mark.parametrize("signature", ["AAAA", "", "another's", "a store's"])
async def test_a_destroy_that_the_gateway_did_not_sign_is_refused(
    callers: Callers, own_vault: OwnVault, request_: Store, signature: str
) -> None:
    """Outcomes and grants name credentials: knowing an id gives no right."""
    assert isinstance(await callers.gateway.store(request_), Stored)
    others = {
        "another's": sign_request(
            Destroy(uuid7(), request_.request_id), Ed25519PrivateKey.generate()
        ).signature
    }
    others["a store's"] = request_.signature
    forged = Destroy(request_.credential_id, request_.request_id, others.get(signature, signature))

    with capture_logs() as logs:
        assert code(await callers.gateway.send_destroy(forged)) == Code.GRANT_REFUSED

    assert await traces(own_vault, request_.credential_id) == {"key", "parts"}
    (audit,) = [line for line in logs if line["event"] == "audit"]
    assert (audit["credential_id"], audit["outcome"]) == (request_.credential_id, "grant_refused")
    assert isinstance(await callers.gateway.destroy(request_.credential_id), Destroyed)


async def test_a_destroy_of_the_release_before_is_done_and_told(
    callers: Callers, own_vault: OwnVault, request_: Store
) -> None:
    """While gateways of the previous release run, an unsigned request is done, logged and counted."""
    assert isinstance(await callers.gateway.store(request_), Stored)
    before = count_unsigned()

    with capture_logs() as logs:
        assert isinstance(await callers.gateway.send_destroy(Destroy(request_.credential_id)), Destroyed)

    assert await traces(own_vault, request_.credential_id) == set()
    warnings = [line["credential_id"] for line in logs if line["event"] == "destroy_unsigned"]
    assert (warnings, count_unsigned()) == ([request_.credential_id], before + 1)


def count_unsigned() -> float:
    """Return how many requests to destroy came without a signature."""
    return REGISTRY.get_sample_value("butler_unsigned_requests_total", {"action": "destroy"}) or 0.0
