"""Restoring the vault of the local stack while no service reaches it."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import httpx

from deploy.backup.destroyed import ID
from deploy.local.openbao import openbao_of_restore, until_active
from deploy.local.processes import PartFailed, Processes
from deploy.local.restoring import set_aside
from deploy.vault.calls import call, names
from deploy.vault.root_token import as_root, recovered_root_token
from deploy.vault.snapshots import put_snapshot

RECORDS = "secret/metadata/credentials"
# Writing another text than the state of a provisioning makes the next start of the stack provision again.
UNPROVISIONED = b"restored"


@asynccontextmanager
async def vault_as_root(
    processes: Processes, directory: Path, snapshot: Path | None
) -> AsyncIterator[httpx.AsyncClient]:
    """Run the vault with root's rights, first restored from a snapshot if one is given.

    Raises PartFailed, OSError and httpx.HTTPError.
    """
    home = directory / "openbao"
    if snapshot is not None:
        set_aside(home / "raft")
    (home / "provisioned").write_bytes(UNPROVISIONED)
    async with openbao_of_restore(processes, directory) as client:
        if snapshot is not None:
            await _restore(processes, client, snapshot.read_bytes())
        await until_active(processes, client)
        token = await recovered_root_token(client, home / "recovery.key")
        async with as_root(client, token):
            yield client


async def _restore(processes: Processes, client: httpx.AsyncClient, snapshot: bytes) -> None:
    made = await call(client, "PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
    await until_active(processes, client)
    client.headers["X-Vault-Token"] = made["root_token"]
    try:
        await put_snapshot(client, snapshot)
    finally:
        del client.headers["X-Vault-Token"]


async def credentials_in(client: httpx.AsyncClient) -> frozenset[UUID]:
    """Return the ids of all credentials of which the vault holds a part."""
    parts = [*(f"{engine}/keys" for engine in await _engines(client)), RECORDS]
    found = {name for path in parts for name in await names(client, path)}
    return frozenset(UUID(name) for name in found if ID.fullmatch(name))  # not the brokers' own key


async def destroy(client: httpx.AsyncClient, credentials: Collection[UUID]) -> None:
    """Delete all parts of credentials; raises PartFailed if the vault still holds one."""
    engines = await _engines(client)
    for each in credentials:
        for engine in engines:
            await _destroy_key(client, f"{engine}/keys/{each}")
        await call(client, "DELETE", f"{RECORDS}/{each}")
    if left := {*credentials} & await credentials_in(client):
        raise PartFailed(f"The vault still holds {len(left)} credentials that were to be destroyed.")


async def _destroy_key(client: httpx.AsyncClient, key: str) -> None:
    found = await client.get(key)
    if found.status_code != httpx.codes.NOT_FOUND:
        found.raise_for_status()
        await call(client, "POST", f"{key}/config", {"deletion_allowed": True})
        await call(client, "DELETE", key)


async def _engines(client: httpx.AsyncClient) -> tuple[str, ...]:
    """Return all transit engines that are mounted, also one that no record names."""
    mounted = (await call(client, "GET", "sys/mounts"))["data"]
    return tuple(path.rstrip("/") for path, engine in mounted.items() if engine["type"] == "transit")
