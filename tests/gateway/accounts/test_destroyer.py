"""The destroyer destroys doomed credentials, then deletes and audits each once, also after outages."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from chassis.bus.connection import Bus
from chassis.bus.respond import respond
from contracts import subjects
from contracts.credentials import Destroy, Destroyed, Refused
from contracts.faults import Code
from contracts.wire.envelope import decode
from contracts.wire.grants import check_request
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.accounts.broker import Broker
from gateway.accounts.delete import Deleting
from gateway.accounts.destroyer import AT_ONCE, PAUSE_SECONDS, Destroyer
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.store import credentials
from gateway.store.pool import Pool
from tests.gateway.accounts.conftest import GRACE_SECONDS
from tests.gateway.denying import denied
from tests.gateway.looping import looping, told
from tests.system.test_sweeper import run
from tests.vault_broker.conftest import connected
from tests.vault_broker.test_stolen_broker import pinned
from tests.waiting import until

AUDIT = "select subject from audit where action = 'secret_destroyed'"
STATES = "select id, state from credentials"
AGE = """update credentials set created_at = created_at - make_interval(secs => %s),
         destroy_at = destroy_at - make_interval(secs => %s) where id = %s"""
DUE = "update credentials set destroy_at = now() where state = 'doomed'"
# Sooner than the sweep that would find it anyway.
# No sweep within the time of a test.
NEVER = 600.0


class Vault:
    """Answers for the vault-broker: it destroys, except the credentials in `refused`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.asked: list[UUID] = []
        self.refused: set[UUID] = set()
        self._key = key.public_key()

    def declare(self, bus: Bus) -> None:
        """Answer requests that the gateway signed."""

        async def destroy(body: bytes) -> Any:
            request: Destroy = decode(body, Destroy)
            check_request(request, self._key)
            self.asked.append(request.credential_id)
            return Refused(Code.VAULT_UNAVAILABLE) if request.credential_id in self.refused else Destroyed()

        respond(bus, subjects.DESTROY, "vault-broker", destroy, AT_ONCE)


@pytest_asyncio.fixture(name="gateway")
async def _gateway(nats: Nats) -> AsyncIterator[Bus]:
    async with connected(nats, "gateway", "gateway") as bus:
        yield bus


@pytest_asyncio.fixture(name="vault")
async def _vault(nats: Nats, grant_key: Ed25519PrivateKey) -> AsyncIterator[Vault]:
    vault = Vault(grant_key)
    async with connected(nats, "vault-broker", "broker", vault.declare):
        yield vault


@pytest.fixture(name="destroyer")
def _destroyer(pool: Pool, gateway: Bus, grant_key: Ed25519PrivateKey) -> Destroyer:
    return Destroyer(pool, Broker(gateway, pinned(), grant_key), GRACE_SECONDS)


async def doomed(pool: Pool, account: Account, many: int = 1) -> list[UUID]:
    """Doom credentials of a user for immediate destruction."""
    ids = [uuid7() for _ in range(many)]
    async with pool.transaction() as connection:
        for each in ids:
            await credentials.insert_pending(connection, each, account.user_id, "okx")
            await credentials.doom(connection, each, "pending")
    return ids


def destroyed(database: Postgres, *ids: UUID) -> Callable[[], Any]:
    """Return a condition: just these are audited, each once, and none of them has a row."""

    async def audited_and_deleted() -> bool:
        audited = sorted(subject for (subject,) in await run(database, AUDIT))
        assert len(set(audited)) == len(audited), "a destruction was audited twice"
        rows = {credential for credential, _ in await run(database, STATES)}
        return audited == sorted(ids) and not rows.intersection(ids)

    return audited_and_deleted


async def test_a_deleted_account_s_key_is_destroyed_at_once(
    pool: Pool, vault: Vault, destroyer: Destroyer, account: Account, database: Postgres, unconnected: Bus
) -> None:
    """The deletion wakes the destroyer; keys that are in use or on their way stay."""
    used, pending = uuid7(), uuid7()
    async with pool.transaction() as connection:
        for each in (used, pending):
            await credentials.insert_pending(connection, each, account.user_id, "okx")
        await credentials.set_live(connection, used)
    deleting = Deleting(pool, Relay(pool, unconnected), destroyer, Ed25519PrivateKey.generate())
    assert account.credential_id is not None

    async with looping(destroyer.run(NEVER)):
        await deleting.delete(account.user_id, account.id)
        await until(destroyed(database, account.credential_id))

    assert vault.asked == [account.credential_id]
    assert dict(await run(database, STATES)) == {used: "live", pending: "pending"}


async def test_a_full_house_is_destroyed_without_a_pause(
    pool: Pool, vault: Vault, destroyer: Destroyer, account: Account, database: Postgres
) -> None:
    """More than the destroyer takes at once, each asked for once."""
    ids = await doomed(pool, account, 2 * AT_ONCE + 1)

    async with looping(destroyer.run(NEVER)):
        destroyer.wake()
        await until(destroyed(database, *ids))

    assert sorted(vault.asked) == sorted(ids)


async def test_two_destroyers_share_the_work(
    pool: Pool, vault: Vault, gateway: Bus, grant_key: Ed25519PrivateKey, account: Account, database: Postgres
) -> None:
    """The vault is asked for each credential by one gateway."""
    ids = await doomed(pool, account, 3 * AT_ONCE)
    both = [Destroyer(pool, Broker(gateway, pinned(), grant_key), GRACE_SECONDS) for _ in range(2)]

    async with AsyncExitStack() as stack:
        for each in both:
            await stack.enter_async_context(looping(each.run()))
            each.wake()
        await until(destroyed(database, *ids))

    assert sorted(vault.asked) == sorted(ids)


async def test_a_key_that_an_open_sync_needs_is_destroyed_later(
    pool: Pool, vault: Vault, destroyer: Destroyer, account: Account, database: Postgres
) -> None:
    """Not before the time for which it was doomed."""
    (due,) = await doomed(pool, account)
    (later,) = await doomed(pool, account)
    await run(
        database, "update credentials set destroy_at = now() + interval '1 minute' where id = %s", later
    )

    async with looping(destroyer.run()):
        destroyer.wake()
        await until(destroyed(database, due))

    assert vault.asked == [due]


async def test_an_abandoned_key_is_destroyed(
    pool: Pool, vault: Vault, destroyer: Destroyer, account: Account, database: Postgres
) -> None:
    """The gateway that stored it died; younger ones may still become an account's."""
    old, young = uuid7(), uuid7()
    async with pool.transaction() as connection:
        for each in (old, young):
            await credentials.insert_pending(connection, each, account.user_id, "okx")
    for credential, age in ((old, GRACE_SECONDS + 1), (young, GRACE_SECONDS - 60)):
        await run(database, AGE, age, age, credential)

    async with looping(destroyer.run()):
        destroyer.wake()
        await until(destroyed(database, old))

    assert vault.asked == [old]
    assert (young, "pending") in await run(database, STATES)


async def test_a_refusal_is_tried_again_later_and_delays_no_other(
    pool: Pool, vault: Vault, destroyer: Destroyer, account: Account, database: Postgres
) -> None:
    """The row stays without an audit row until the vault is done with it."""
    bad, good = await doomed(pool, account, 2)
    vault.refused = {bad}

    async with looping(destroyer.run()) as events:
        destroyer.wake()
        await until(told(events, "destroy_postponed"))
        await until(destroyed(database, good))
        wait = "select extract(epoch from destroy_at - now())::float8 from credentials where id = %s"
        ((seconds,),) = await run(database, wait, bad)
        assert 0 < seconds <= PAUSE_SECONDS

        vault.refused.clear()
        await run(database, DUE)
        destroyer.wake()
        await until(destroyed(database, bad, good))

    assert vault.asked.count(bad) == 2


async def test_a_key_outlives_a_broker_that_is_away(
    pool: Pool,
    nats: Nats,
    grant_key: Ed25519PrivateKey,
    destroyer: Destroyer,
    account: Account,
    database: Postgres,
) -> None:
    """A request without an answer destroys nothing; it is destroyed when a broker is there again."""
    (credential,) = await doomed(pool, account)

    async with looping(destroyer.run()) as events:
        destroyer.wake()
        await until(told(events, "destroy_postponed"))
        assert (credential, "doomed") in await run(database, STATES)
        assert await run(database, AUDIT) == []

        async with connected(nats, "vault-broker", "broker", Vault(grant_key).declare):
            await run(database, DUE)
            destroyer.wake()
            await until(destroyed(database, credential))


async def test_a_destruction_that_could_not_be_noted_is_asked_for_again(
    pool: Pool, vault: Vault, destroyer: Destroyer, account: Account, database: Postgres
) -> None:
    """The database went away after the vault destroyed it; the audit then has one row."""
    (credential,) = await doomed(pool, account)

    async with looping(destroyer.run()) as events:
        async with denied(database, "delete", "credentials"):
            destroyer.wake()
            await until(told(events, "destroying_waits"))
            assert await run(database, AUDIT) == []
        await run(database, DUE)
        destroyer.wake()
        await until(destroyed(database, credential))

    assert vault.asked == [credential] * 2


async def test_nothing_is_asked_of_the_vault_while_the_database_is_away(
    pool: Pool, vault: Vault, destroyer: Destroyer, account: Account, database: Postgres
) -> None:
    """The loop outlives the outage."""
    (credential,) = await doomed(pool, account)

    async with looping(destroyer.run()) as events:
        async with denied(database, "update", "credentials"):
            destroyer.wake()
            await until(told(events, "destroying_waits"))
            assert vault.asked == []
        destroyer.wake()
        await until(destroyed(database, credential))
