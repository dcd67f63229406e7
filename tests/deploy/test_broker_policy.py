"""What the vault lets the broker do: what its work needs, and nothing that shows or weakens a secret."""

import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from contracts.values import Secret
from deploy.local.openbao import OpenBao
from gateway.credentials import wrap_secret

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
SECONDS = 15


@pytest_asyncio.fixture(name="broker", scope="module")
async def _broker(vault: OpenBao) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that is logged in with the broker's role."""
    trust = ssl.create_default_context(cafile=vault.ca)
    async with httpx.AsyncClient(base_url=f"{vault.url}/v1/", verify=trust, timeout=SECONDS) as client:
        login = {"role_id": vault.role_id_file.read_text(), "secret_id": vault.secret_id_file.read_text()}
        answer = (await client.post("auth/approle/login", json=login)).raise_for_status().json()
        client.headers["X-Vault-Token"] = answer["auth"]["client_token"]
        yield client


@pytest_asyncio.fixture(name="stored")
async def _stored(broker: httpx.AsyncClient) -> str:
    """Store a credential as the broker does, and give its id."""
    credential = str(uuid4())
    await store(broker, credential)
    return credential


async def store(broker: httpx.AsyncClient, credential: str) -> None:
    """Import the secret and write the rest; raises httpx.HTTPStatusError."""
    wrapping_key = (await broker.get("transit/wrapping_key")).raise_for_status().json()
    wrapped = wrap_secret(Secret(SECRET), wrapping_key["data"]["public_key"])
    imported = {"type": "hmac", "ciphertext": text(wrapped), "hash_function": "SHA256"}
    kept = {"options": {"cas": 0}, "data": {"api_key": "k", "passphrase": "p"}}
    (await broker.post(f"transit/keys/{credential}/import", json=imported)).raise_for_status()
    (await broker.post(f"secret/data/credentials/{credential}", json=kept)).raise_for_status()


def text(raw: bytes) -> str:
    """Write bytes as the vault wants them."""
    return b64encode(raw).decode()


async def test_the_broker_can_sign_read_and_destroy(broker: httpx.AsyncClient, stored: str) -> None:
    """Everything that its work needs is allowed."""
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
        ("POST", "transit/keys/{id}/config", {"exportable": True}),
        ("POST", "transit/keys/{id}/config", {"allow_plaintext_backup": True}),
        ("POST", "transit/keys/{id}/config", {"deletion_allowed": True, "exportable": True}),
        ("POST", "transit/keys/{id}/config", {"deletion_allowed": False}),
        ("POST", "transit/keys/{id}/rotate", {}),
        ("POST", "transit/hmac/{id}", {"input": "bWVzc2FnZQ=="}),
        ("POST", "transit/hmac/{id}/sha2-512", {"input": "bWVzc2FnZQ=="}),
        ("POST", "transit/restore/{id}", {"backup": "x"}),
        ("LIST", "secret/metadata/credentials", None),
        ("GET", "secret/metadata/credentials/{id}", None),
        ("DELETE", "secret/data/credentials/{id}", None),
        ("POST", "secret/data/credentials/{id}", {"data": {"api_key": "other"}}),
        ("POST", "secret/data/other/{id}", {"data": {}}),
        ("POST", "secret/data/credentials/{id}/below", {"data": {}}),
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
    """What would show, list, change or free a secret is refused, and so is the rest of the vault."""
    answer = await broker.request(method, path.format(id=stored), json=body)

    assert answer.status_code == httpx.codes.FORBIDDEN


async def test_the_audit_file_shows_the_call_and_no_secret(
    broker: httpx.AsyncClient, vault: OpenBao, stored: str
) -> None:
    """Every use of a credential is on record; what was stored is not."""
    (await broker.get(f"secret/data/credentials/{stored}")).raise_for_status()

    audit = (vault.ca.parents[1] / "audit.log").read_text()

    assert f"secret/data/credentials/{stored}" in audit
    assert SECRET not in audit
