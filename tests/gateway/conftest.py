"""A database with one connected account."""

import asyncio
from collections.abc import AsyncIterator
from secrets import token_bytes

import nkeys
import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from contracts.values import Secret
from deploy.local.postgres import GATEWAY, SUPERUSER, Postgres
from gateway.identity.passwords import Passwords
from gateway.identity.register import register
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store import accounts, credentials, syncs, users
from gateway.store.pool import Pool
from gateway.store.users import User
from gateway.syncs.announce import Announcer
from gateway.syncs.waiters import Waiters
from tests.gateway.http.test_views import ACCOUNT
from tests.gateway.identity.presenting import presented


@pytest_asyncio.fixture(name="pool")
async def _pool(clean_database: Postgres) -> AsyncIterator[Pool]:
    """Yield a pool with the gateway's rights on an empty database."""
    pool = Pool(clean_database.url(GATEWAY), clean_database.password_file(GATEWAY).read_text())
    await pool.start()
    yield pool
    await pool.stop()


@pytest_asyncio.fixture(name="passwords")
async def _passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(8)
    yield passwords
    passwords.close()


@pytest_asyncio.fixture(name="user")
async def _user(pool: Pool, passwords: Passwords) -> User:
    """Return a registered user."""
    return await register(pool, passwords, presented())


@pytest_asyncio.fixture(name="account")
async def _account(pool: Pool) -> Account:
    """Return a connected account."""
    return await connected(pool, ACCOUNT)


@pytest.fixture(name="unconnected")
def _unconnected() -> Bus:
    """Return a bus that never connects, for parts that only hand it on."""
    seed = nkeys.encode_seed(token_bytes(32), nkeys.PREFIX_BYTE_USER).decode()
    return Bus("gateway", "gateway", "nats://127.0.0.1:1", Secret(seed))


@pytest.fixture(name="relay")
def _relay(pool: Pool, unconnected: Bus) -> Relay:
    """Return a relay that does not run."""
    return Relay(pool, unconnected)


@pytest_asyncio.fixture(name="unpublished")
async def _unpublished(clean_database: Postgres) -> AsyncIterator[None]:
    """Keep messages in the outbox, because a gateway of another test may run on the same database."""
    async with await clean_database.connect(SUPERUSER) as connection:
        await connection.execute("alter table outbox alter column next_at set default 'infinity'")
        await connection.commit()
        yield
        await connection.execute("alter table outbox alter column next_at set default now()")


async def connected(pool: Pool, account: Account) -> Account:
    """Store an account with its user and its credential."""
    assert account.credential_id is not None
    async with pool.transaction() as connection:
        await users.insert_user(connection, account.user_id, "me@example.com", "hash")
        await credentials.insert_pending(connection, account.credential_id, account.user_id, account.exchange)
        await accounts.insert_account(connection, account)
        await credentials.set_live(connection, account.credential_id)
    return account


def announcing(pool: Pool, bus: Bus) -> Announcer:
    """Return the part that announces ends, in a process with room for eight waiting requests."""
    return Announcer(bus, Waiters(pool, asyncio.Event(), 8))


async def opened(pool: Pool, account: Account) -> Sync:
    """Open a sync of an account."""
    async with pool.transaction() as connection:
        return await syncs.open_sync(connection, uuid7(), account, 120)
