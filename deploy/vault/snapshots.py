"""Snapshots of the vault: a login that may only take them, taking one, and putting one into an empty vault.

A snapshot is encrypted with the vault's own key, which the seal protects: without the seal's key it opens
nothing, and a vault with another seal can not read it.
"""

from pathlib import Path

import httpx
import msgspec

from deploy.private_files import write_private
from deploy.vault.calls import call

BACKUP = "backup"
SNAPSHOT = "sys/storage/raft/snapshot"
POLICY = f'path "{SNAPSHOT}" {{\n  capabilities = ["read"]\n}}\n'
ROLE = {
    "token_policies": [BACKUP],
    "token_no_default_policy": True,
    "token_ttl": "10m",
    "token_max_ttl": "10m",
}


class Login(msgspec.Struct, frozen=True):
    """The AppRole login of backups, as its file holds it."""

    role_id: str
    secret_id: str


async def admit_backups(client: httpx.AsyncClient, file: Path, networks: tuple[str, ...]) -> None:
    """Create the login of backups anew with root's rights, so that earlier ones end, and write its file."""
    role = f"auth/approle/role/{BACKUP}"
    await call(client, "PUT", f"sys/policies/acl/{BACKUP}", {"policy": POLICY})
    await call(client, "DELETE", role)
    bound = {"token_bound_cidrs": [*networks], "secret_id_bound_cidrs": [*networks]}
    await call(client, "POST", role, {**ROLE, **bound})
    role_id = (await call(client, "GET", f"{role}/role-id"))["data"]["role_id"]
    secret_id = (await call(client, "POST", f"{role}/secret-id", {}))["data"]["secret_id"]
    write_private(file, msgspec.json.encode(Login(role_id, secret_id)))


async def take_snapshot(client: httpx.AsyncClient, file: Path) -> bytes:
    """Return a snapshot, taken with the login of a file; raises httpx.HTTPError."""
    login = msgspec.to_builtins(msgspec.json.decode(file.read_bytes(), type=Login))
    token = (await call(client, "PUT", "auth/approle/login", login))["auth"]["client_token"]
    answer = await client.get(SNAPSHOT, headers={"X-Vault-Token": token})
    return answer.raise_for_status().content


async def put_snapshot(client: httpx.AsyncClient, snapshot: bytes) -> None:
    """Replace the content of a vault by a snapshot, with root's rights; the vault then unseals itself."""
    (await client.post(f"{SNAPSHOT}-force", content=snapshot)).raise_for_status()
