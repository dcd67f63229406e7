"""A root token of the vault for one provisioning: created by the recovery key, kept in memory, revoked."""

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from deploy.private_files import write_private
from deploy.vault.calls import call

ATTEMPT = "sys/generate-root/attempt"
# The server refuses such requests unless a listener in its configuration allows them.
LISTENER_OPTION = "disable_unauthed_generate_root_endpoints"


@asynccontextmanager
async def as_root(client: httpx.AsyncClient, token: str) -> AsyncIterator[None]:
    """Use a root token, and revoke it at exit, also after a failure; raises httpx.HTTPError.

    If the revocation fails, the next provisioning revokes the token; an earlier exception is raised first.
    """
    client.headers["X-Vault-Token"] = token
    failed = True
    try:
        yield
        failed = False
    finally:
        try:
            with suppress(*((httpx.HTTPError,) if failed else ())):
                await call(client, "POST", "auth/token/revoke-self")
        finally:
            del client.headers["X-Vault-Token"]


async def first_root_token(client: httpx.AsyncClient, recovery_key: Path) -> str:
    """Initialise the vault and return its root token; the recovery key is stored for later versions."""
    answer = await call(client, "PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
    write_private(recovery_key, answer["recovery_keys_base64"][0].encode())
    token: str = answer["root_token"]
    return token


async def recovered_root_token(client: httpx.AsyncClient, recovery_key: Path) -> str:
    """Create a root token with the stored recovery key; raises OSError if its file is missing.

    An attempt that an interrupted start has begun is cancelled.
    """
    key = recovery_key.read_text().strip()
    await call(client, "DELETE", ATTEMPT)
    begun = await call(client, "PUT", ATTEMPT, {})
    answer = {"key": key, "nonce": begun["nonce"]}
    done = await call(client, "PUT", "sys/generate-root/update", answer)
    return _decoded(done["encoded_token"], begun["otp"])


def _decoded(encoded: str, once: str) -> str:
    """Remove the one-time pad from a token."""
    raw = b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(left ^ right for left, right in zip(raw, once.encode(), strict=True)).decode()
