"""The root token of a provisioning ends with it, whatever fails in between."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import NoReturn
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.backup.vault import destroy
from deploy.local.processes import Processes
from deploy.vault.root_token import as_root
from tests.vault_broker.vaults import OwnVault


class Failed(Exception):
    """The failure of a provisioning step."""


@pytest_asyncio.fixture(name="vault", scope="module")
async def _vault(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnVault]:
    vault = OwnVault(processes, tmp_path_factory.mktemp("root-token"), "root-token-vault")
    await vault.start()
    yield vault
    await vault.client.aclose()
    await vault.stop()


async def root_token(vault: OwnVault) -> str:
    """Make another root token."""
    made = await vault.root("POST", "auth/token/create", {"no_parent": True})
    token: str = made["auth"]["client_token"]
    return token


async def refuses(vault: OwnVault, token: str) -> bool:
    """Return whether the vault refuses a token."""
    answer = await vault.client.get("sys/mounts", headers={"X-Vault-Token": token})
    return answer.status_code == httpx.codes.FORBIDDEN


def client_of(vault: OwnVault) -> httpx.AsyncClient:
    """Return a client like that of a start of the stack."""
    return httpx.AsyncClient(
        base_url=vault.client.base_url, verify=ssl.create_default_context(cafile=vault.ca), trust_env=False
    )


async def refused(client: httpx.AsyncClient) -> None:
    """Send a request that the vault refuses."""
    (await client.get("secret/data/nothing")).raise_for_status()


async def failed(_: httpx.AsyncClient) -> NoReturn:
    """Fail in our own code."""
    raise Failed


async def cancelled(_: httpx.AsyncClient) -> None:
    """Be cancelled, as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def done(client: httpx.AsyncClient) -> None:
    """Succeed."""
    (await client.get("sys/mounts")).raise_for_status()


STEPS = (
    (refused, httpx.HTTPStatusError),
    (failed, Failed),
    (cancelled, asyncio.CancelledError),
    (done, None),
)


@pytest.mark.parametrize(("step", "error"), STEPS, ids=lambda step: getattr(step, "__name__", ""))
async def test_the_root_token_is_revoked_whatever_happens(
    vault: OwnVault, step: object, error: type[BaseException] | None
) -> None:
    """The original failure is reported, and the client has no token any more."""
    assert callable(step)
    token = await root_token(vault)
    caught: BaseException | None = None
    async with client_of(vault) as client:

        async def provision() -> None:
            async with as_root(client, token):
                await step(client)

        (caught,) = await asyncio.gather(provision(), return_exceptions=True)
        assert "X-Vault-Token" not in client.headers

    assert type(caught) is (error or type(None))
    assert await refuses(vault, token)


async def test_a_failure_is_told_where_the_token_can_not_be_revoked(vault: OwnVault) -> None:
    """While the vault is away the token stays, until the next provisioning revokes it."""
    token = await root_token(vault)
    async with client_of(vault) as client:

        async def provision() -> None:
            async with as_root(client, token):
                client.base_url = httpx.URL("https://127.0.0.1:1/v1/")
                raise Failed

        with pytest.raises(Failed):
            await provision()

    assert not await refuses(vault, token)
    await vault.root("POST", "auth/token/revoke", {"token": token})


async def test_a_token_that_can_not_be_revoked_is_a_failure(vault: OwnVault) -> None:
    """If all else succeeded the start reports that a root token is left."""
    async with client_of(vault) as client:
        with pytest.raises(httpx.HTTPStatusError):
            async with as_root(client, "no token"):
                pass


async def test_a_key_that_the_vault_does_not_show_is_not_taken_for_missing(vault: OwnVault) -> None:
    """A restore that may not read a key fails, instead of leaving the key and telling of success."""
    policy = 'path "sys/mounts" { capabilities = ["read"] }'
    await vault.root("PUT", "sys/policies/acl/mounts-only", {"policy": policy})
    made = await vault.root("POST", "auth/token/create", {"policies": ["mounts-only"]})
    async with client_of(vault) as client:
        client.headers["X-Vault-Token"] = made["auth"]["client_token"]
        with pytest.raises(httpx.HTTPStatusError, match="transit/keys"):
            await destroy(client, [uuid4()])
