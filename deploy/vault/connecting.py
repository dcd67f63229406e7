"""Connecting to a vault as its operator: with a token, or with a root token of the recovery key."""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from contracts.values import Secret
from deploy.vault.calls import call
from deploy.vault.root_token import as_root, first_root_token, recovered_root_token

CALL_SECONDS = 30
# For a vault that starts at the same time, or elects its leader.
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.2
# The characters of a token that can stand in a header.
TOKEN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Access:
    """Where a vault is, whose certificates are trusted, and with what an operator may change it."""

    address: str | None
    ca_file: str | None = None
    token: Secret = field(default_factory=lambda: Secret(""))
    recovery_key: Path | None = None


def client_of(access: Access, *, needs_token: bool = True) -> httpx.AsyncClient:
    """Return the client; raises ValueError if address or token is missing, OSError for an unreadable file.

    In place of a token, the recovery key is enough.
    """
    if not (access.address or "").startswith("https://"):
        raise ValueError("the vault's address is not https://HOST:PORT: set VAULT_ADDR or give --address")
    token = access.token.reveal().strip()
    if needs_token and not token and not access.recovery_key:
        raise ValueError("the token is missing: set VAULT_TOKEN or give --token-file")
    if token and not TOKEN.fullmatch(token):  # the HTTP client would repeat it in its error
        raise ValueError("the token is not valid: it must be one line of ASCII without spaces")
    return httpx.AsyncClient(
        base_url=f"{(access.address or '').rstrip('/')}/v1/",
        headers={"X-Vault-Token": token} if token else {},
        verify=ssl.create_default_context(cafile=access.ca_file or None),
        timeout=CALL_SECONDS,
        trust_env=False,
    )


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client that may change the vault; raises the errors of `client_of` and `authorized`."""
    async with client_of(access) as client, authorized(client, access.recovery_key):
        yield client


async def status(client: httpx.AsyncClient, path: str) -> int | None:
    """Return the status of an unauthenticated request, None without an answer."""
    try:
        return (await client.get(path)).status_code
    except httpx.TransportError:
        return None


async def until_ok(client: httpx.AsyncClient, path: str) -> None:
    """Wait until the vault answers 200; raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := await status(client, path)) != httpx.codes.OK:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} answered {found or 'nothing'} for {PATIENCE_SECONDS} seconds")
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def authorized(client: httpx.AsyncClient, recovery_key: Path | None) -> AsyncIterator[None]:
    """Use the client's token, or a root token of the recovery key, which is revoked at exit.

    Raises httpx.HTTPError, TimeoutError, and OSError without the file of an initialised vault.
    """
    if recovery_key is None:
        yield
        return
    await until_ok(client, "sys/init")
    if (await call(client, "GET", "sys/init"))["initialized"]:
        await until_ok(client, "sys/health")
        token = await recovered_root_token(client, recovery_key)
    else:
        token = await first_root_token(client, recovery_key)
        await until_ok(client, "sys/health")
    async with as_root(client, token):
        yield
