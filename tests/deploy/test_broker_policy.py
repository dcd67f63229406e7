"""The broker's rights in the vault: those of its work, and none that shows or weakens a secret."""

import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.local.openbao import OpenBao
from gateway.accounts.credentials import wrap_secret

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
SECONDS = 15


@pytest_asyncio.fixture(name="broker", scope="module")
async def _broker(vault: OpenBao) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client that is logged in with the broker's role."""
    trust = ssl.create_default_context(cafile=vault.ca)
    async with httpx.AsyncClient(base_url=f"{vault.url}/v1/", verify=trust, timeout=SECONDS) as client:
        answer = (await client.post("auth/approle/login", json=login_of(vault))).raise_for_status().json()
        client.headers["X-Vault-Token"] = answer["auth"]["client_token"]
        yield client


def login_of(vault: OpenBao) -> dict[str, str]:
    """Return the broker's login."""
    return {"role_id": vault.role_id_file.read_text(), "secret_id": vault.secret_id_file.read_text()}


@pytest_asyncio.fixture(name="stored")
async def _stored(broker: httpx.AsyncClient) -> str:
    """Store a credential as the broker does, and return its id."""
    credential = str(uuid4())
    await store(broker, credential)
    return credential


async def imported(broker: httpx.AsyncClient) -> dict[str, Any]:
    """Return the broker's request to import a secret."""
    wrapping_key = (await broker.get("transit/wrapping_key")).raise_for_status().json()
    wrapped = wrap_secret(SECRET.encode(), wrapping_key["data"]["public_key"])
    return {"type": "hmac", "ciphertext": text(wrapped), "hash_function": "SHA256", "exportable": False}


async def store(broker: httpx.AsyncClient, credential: str) -> None:
    """Import the secret and write the rest; raises httpx.HTTPStatusError."""
    kept = {"options": {"cas": 0}, "data": {"api_key": "k", "passphrase": "p"}}
    path = f"transit/keys/{credential}/import"
    (await broker.post(path, json=await imported(broker))).raise_for_status()
    (await broker.post(f"secret/data/credentials/{credential}", json=kept)).raise_for_status()


def text(raw: bytes) -> str:
    """Encode bytes as the vault requires."""
    return b64encode(raw).decode()


async def test_the_broker_can_sign_read_and_destroy(broker: httpx.AsyncClient, stored: str) -> None:
    """The policy permits everything that its work needs."""
    steps: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", f"transit/hmac/{stored}/sha2-256", {"input": text(b"message")}),
        ("GET", f"secret/data/credentials/{stored}", None),
        ("POST", f"transit/keys/{stored}/config", {"deletion_allowed": True}),
        ("DELETE", f"transit/keys/{stored}", None),
        ("DELETE", f"secret/metadata/credentials/{stored}", None),
        ("POST", "auth/token/renew-self", {}),
    ]

    answers = [await broker.request(method, path, json=body) for method, path, body in steps]

    assert [answer.is_success for answer in answers] == [True] * len(steps)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "transit/export/hmac-key/{id}", None),
        ("GET", "transit/backup/{id}", None),
        ("GET", "transit/keys/{id}", None),
        ("LIST", "transit/keys", None),
        ("POST", "transit/keys/{id}", {"type": "hmac", "exportable": True}),
        ("GET", "transit/keys/{id}?type=ed25519", None),
        ("POST", "transit/keys/{id}/config", {"exportable": True}),
        ("POST", "transit/keys/{id}/config", {"allow_plaintext_backup": True}),
        ("POST", "transit/keys/{id}/config", {"deletion_allowed": True, "exportable": True}),
        ("POST", "transit/keys/{id}/config", {"deletion_allowed": False}),
        ("POST", "transit/keys/{id}/rotate", {}),
        ("POST", "transit/keys/{id}/import_version", {"ciphertext": "x"}),
        ("POST", "transit/hmac/{id}", {"input": "bWVzc2FnZQ=="}),
        ("POST", "transit/hmac/{id}/sha2-512", {"input": "bWVzc2FnZQ=="}),
        ("POST", "transit/sign/{id}", {"input": "bWVzc2FnZQ=="}),
        ("POST", "transit/sign/{id}/sha2-256", {"input": "bWVzc2FnZQ=="}),
        ("POST", "transit/restore/{id}", {"backup": "x"}),
        ("LIST", "secret/metadata/credentials", None),
        ("GET", "secret/metadata/credentials/{id}", None),
        ("DELETE", "secret/data/credentials/{id}", None),
        ("POST", "secret/data/credentials/{id}", {"data": {"api_key": "other"}}),
        ("POST", "secret/data/other/{id}", {"data": {}}),
        ("POST", "secret/data/credentials/{id}/below", {"data": {}}),
        ("POST", "secret/data/sealing-key", {"data": {"private_key": "x"}}),
        ("POST", "secret/data/sealing-key", {"options": {"cas": 1}, "data": {"private_key": "x"}}),
        ("DELETE", "secret/data/sealing-key", None),
        ("DELETE", "secret/metadata/sealing-key", None),
        ("POST", "secret/data/credentials/sealing-key", {"data": {"private_key": "x"}}),
        ("DELETE", "secret/metadata/credentials/sealing-key", None),
        ("GET", "auth/token/lookup-self", None),
        ("POST", "auth/token/create", {}),
        ("POST", "auth/approle/role/vault-broker/secret-id", {}),
        ("GET", "sys/mounts", None),
        ("GET", "sys/policies/acl/vault-broker", None),
        ("PUT", "sys/policies/acl/vault-broker", {"policy": ""}),
        ("GET", "sys/audit", None),
        ("PUT", "sys/seal", None),
    ],
)
async def test_the_broker_can_do_nothing_else(
    broker: httpx.AsyncClient, stored: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    """The vault denies showing, listing, changing or freeing a secret, and all other paths."""
    answer = await broker.request(method, path.format(id=stored), json=body)

    assert answer.status_code == httpx.codes.FORBIDDEN


@pytest.mark.parametrize(
    "altered",
    [
        {"exportable": True},
        {"exportable": "true"},
        {"exportable": 1},
        {"allow_plaintext_backup": True},
        {"allow_rotation": True},
        {"derived": True},
        {"context": "eA=="},
        {"type": "aes256-gcm96"},
        {"type": "rsa-4096"},
        {"type": "ecdsa-p256"},
        {"type": "ed25519"},
        {"hash_function": "SHA1"},
        {"public_key": "x"},
    ],
    ids=lambda altered: " ".join(f"{name}={value}" for name, value in altered.items()),
)
async def test_the_broker_imports_only_keys_that_stay(
    broker: httpx.AsyncClient, altered: dict[str, Any]
) -> None:
    """An import as another kind of key, or as one that can be exported or backed up, is denied."""
    path = f"transit/keys/{uuid4()}/import"

    answer = await broker.post(path, json=await imported(broker) | altered)

    assert answer.status_code == httpx.codes.FORBIDDEN


async def test_the_broker_makes_keys_that_stay(broker: httpx.AsyncClient) -> None:
    """It makes Ed25519 keys, with the public half in the answer; parameters in the query have no effect."""
    path = f"transit/keys/{uuid4()}"

    answers = [
        (await broker.post(path + query, json={"type": "ed25519"})).raise_for_status().json()["data"]
        for query in ("?exportable=true&allow_plaintext_backup=true&derived=true", "")
    ]

    assert answers[0] == answers[1]
    made = answers[0]
    assert not (made["exportable"])
    assert not (made["allow_plaintext_backup"])
    assert not (made["derived"])
    assert len(b64decode(made["keys"]["1"]["public_key"])) == 32


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"type": "aes256-gcm96"},
        {"type": "rsa-2048"},
        {"type": "hmac"},
        {"type": ["ed25519"]},
        *(
            {"type": "ed25519", name: value}
            for name, value in {
                "exportable": True,
                "allow_plaintext_backup": True,
                "derived": True,
                "convergent_encryption": True,
                "auto_rotate_period": "1h",
                "key_size": 32,
                "managed_key_name": "x",
                "Exportable": True,
            }.items()
        ),
        {"type": "ed25519", "exportable": False},
    ],
    ids=str,
)
async def test_the_broker_makes_no_other_key(broker: httpx.AsyncClient, body: dict[str, Any] | None) -> None:
    """Without a type the vault would make an AES key; no other type and no further parameter is allowed."""
    answer = await broker.post(f"transit/keys/{uuid4()}", json=body)

    assert answer.status_code == httpx.codes.FORBIDDEN


async def test_a_key_that_is_made_again_stays_as_it_is(broker: httpx.AsyncClient, stored: str) -> None:
    """Making a key under the id of a stored credential changes nothing of it."""
    answer = (await broker.post(f"transit/keys/{stored}", json={"type": "ed25519"})).raise_for_status()

    assert answer.json()["data"]["type"] == "hmac"
    assert (await broker.post(f"transit/hmac/{stored}/sha2-256", json={"input": text(b"m")})).is_success


async def test_the_broker_reads_the_sealing_key_at_both_places(broker: httpx.AsyncClient) -> None:
    """The key pair exists before any broker reads it, and the same at the path of the previous release."""
    paths = ("secret/data/sealing-key", "secret/data/credentials/sealing-key")
    answers = [(await broker.get(path)).raise_for_status().json()["data"]["data"] for path in paths]

    assert answers[0] == answers[1]
    assert answers[0].keys() == {"private_key", "created"}


async def test_a_copied_login_is_of_no_use_on_another_address(
    broker: httpx.AsyncClient, vault: OpenBao
) -> None:
    """Role id, secret id and token of the broker are valid at its own address only."""
    trust = ssl.create_default_context(cafile=vault.ca)
    elsewhere = httpx.AsyncHTTPTransport(local_address="127.0.0.2", verify=trust)
    async with httpx.AsyncClient(base_url=f"{vault.url}/v1/", transport=elsewhere) as thief:
        login = await thief.post("auth/approle/login", json=login_of(vault))
        used = await thief.get("transit/wrapping_key", headers=broker.headers)

    assert login.status_code == httpx.codes.BAD_REQUEST
    assert "CIDR" in login.text
    assert used.status_code == httpx.codes.FORBIDDEN
    assert (await broker.get("transit/wrapping_key")).is_success


async def test_wrong_logins_do_not_lock_the_broker_out(broker: httpx.AsyncClient, vault: OpenBao) -> None:
    """An attacker who knows the role id, which is not secret, cannot keep the broker from logging in."""
    right, wrong = login_of(vault), login_of(vault) | {"secret_id": str(uuid4())}

    refused = [await broker.post("auth/approle/login", json=wrong) for _ in range(10)]

    assert {answer.status_code for answer in refused} == {httpx.codes.BAD_REQUEST}
    assert (await broker.post("auth/approle/login", json=right)).is_success


async def test_the_audit_file_shows_the_call_and_no_secret(
    broker: httpx.AsyncClient, vault: OpenBao, stored: str
) -> None:
    """The audit has every use of a credential, but not the stored values."""
    (await broker.get(f"secret/data/credentials/{stored}")).raise_for_status()

    audit = (vault.ca.parents[1] / "audit.log").read_text()

    assert f"secret/data/credentials/{stored}" in audit
    assert SECRET not in audit
