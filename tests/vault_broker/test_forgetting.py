"""The gateway forgets a credential, and its audit says so, only when the vault holds nothing of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from signal import SIGCONT, SIGSTOP
from uuid import UUID

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from chassis.metrics import REGISTRY
from contracts import subjects
from contracts.credentials import Refused
from deploy.local.postgres import GATEWAY, SUPERUSER, Postgres
from deploy.vault.policy import broker_policy
from gateway.accounts.broker import Broker
from gateway.accounts.destroyer import Destroyer
from gateway.store import credentials, users
from gateway.store.pool import Pool
from tests.pinning import pinned_in
from tests.vault_broker.conftest import Callers
from tests.vault_broker.test_keep import traces
from tests.vault_broker.vaults import OwnVault
from tests.waiting import until

SECRET = "22582BD0CFF14C41EDBF1AB98506286D"
SETTLED_SECONDS = 60.0


class Forgetting:
    """A destroyer on a database with one doomed credential, which the vault holds."""

    def __init__(self, database: Postgres, pool: Pool, destroyer: Destroyer, credential: UUID) -> None:
        self.credential = credential
        self._database = database
        self._pool = pool
        self._destroyer = destroyer

    async def doom(self) -> None:
        """Doom the credential, and have it destroyed at once."""
        async with self._pool.transaction() as connection:
            await credentials.doom(connection, self.credential, "live")
        self._destroyer.wake()

    async def try_again(self) -> None:
        """Let the next try begin now."""
        await self._rows("update credentials set destroy_at = now() where state = 'doomed' returning 1")
        self._destroyer.wake()

    async def forgotten(self) -> bool:
        """Tell whether the table has forgotten it; fails where the audit says anything else."""
        ((audited, kept),) = await self._rows(
            """select (select count(*) from audit where action = 'secret_destroyed'),
                      (select count(*) from credentials)"""
        )
        assert (audited, kept) in ((0, 1), (1, 0))
        return kept == 0

    async def _rows(self, statement: str) -> list[tuple[object, ...]]:
        async with await self._database.connect(SUPERUSER) as connection:
            return await (await connection.execute(statement.encode())).fetchall()


@pytest_asyncio.fixture(name="forgetting")
async def _forgetting(
    callers: Callers, clean_database: Postgres, own_vault: OwnVault, grant_key: Ed25519PrivateKey
) -> AsyncIterator[Forgetting]:
    pool = Pool(clean_database.url(GATEWAY), clean_database.password_file(GATEWAY).read_text())
    await pool.start()
    credential, user = await callers.gateway.stored(SECRET, "key", "words"), uuid7()
    async with pool.transaction() as connection:
        await users.insert_user(connection, user, "me@example.com", "hash")
        await credentials.insert_pending(connection, credential, user, "okx")
        await credentials.set_live(connection, credential)
    destroyer = Destroyer(
        pool, Broker(callers.gateway.bus, pinned_in(own_vault.fingerprints_file), grant_key), 600.0
    )
    running = asyncio.create_task(destroyer.run())
    yield Forgetting(clean_database, pool, destroyer, credential)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await pool.stop()


def denying(path: str) -> Callable[[OwnVault], AbstractAsyncContextManager[None]]:
    """Give a trouble in which the vault's policy does not let the broker use a path."""

    @asynccontextmanager
    async def denied(vault: OwnVault) -> AsyncIterator[None]:
        policy = broker_policy()
        assert f'"{path}"' in policy
        await vault.root(
            "PUT", "sys/policies/acl/vault-broker", {"policy": policy.replace(f'"{path}"', '"no"')}
        )
        yield
        await vault.root("PUT", "sys/policies/acl/vault-broker", {"policy": policy})

    return denied


@asynccontextmanager
async def hanging(vault: OwnVault) -> AsyncIterator[None]:
    """Have the vault take requests and never answer."""
    vault.process.send_signal(SIGSTOP)
    try:
        yield
    finally:
        vault.process.send_signal(SIGCONT)


def refused() -> float:
    """Count the broker's refusals to destroy; it runs in this process."""
    labels = {"subject": subjects.DESTROY, "reply": "refused"}
    return REGISTRY.get_sample_value("butler_replies_total", labels) or 0.0


TROUBLES: dict[str, Callable[[OwnVault], AbstractAsyncContextManager[None]]] = {
    "deletion is not allowed": denying("transit/keys/+/config"),
    "the key stays": denying("transit/keys/+"),
    "the parts stay": denying("secret/metadata/credentials/+"),
    "the vault hangs": hanging,
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_credential_is_forgotten_when_the_vault_holds_nothing(
    forgetting: Forgetting, callers: Callers, own_vault: OwnVault, trouble: str
) -> None:
    """Whichever step of destroying fails, the credential stays doomed until it is gone, whole."""
    async with TROUBLES[trouble](own_vault):
        assert isinstance(await callers.gateway.destroy(forgetting.credential), Refused)
        refusals = refused()
        await forgetting.doom()

        async def tried() -> bool:
            return refused() > refusals or await forgetting.forgotten()

        await until(tried)
        assert not await forgetting.forgotten()
    assert await traces(own_vault, forgetting.credential) != set()

    await forgetting.try_again()
    await until(forgetting.forgotten, SETTLED_SECONDS)

    assert await traces(own_vault, forgetting.credential) == set()
