"""A sync whose key may do more than read, or is of another account, stores no number and pauses it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from contracts.exchanges.okx import OKX
from contracts.faults import Code
from contracts.syncs import Rights, Status, SyncCompleted, SyncFailed, SyncOutcome, Verdict, WalletRead
from contracts.values import Balance
from contracts.wire.grants import Grant, sign_grant, sync_purpose
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.look import find_held
from gateway.accounts.pause import FIRST_VERIFY_SECONDS
from gateway.accounts.reverify import LOOK_SECONDS
from gateway.accounts.verify import VERIFY_SECONDS
from gateway.outbox.relay import Relay
from gateway.rows.accounts import Account
from gateway.rows.pauses import Pause
from gateway.rows.syncs import Held, Sync
from gateway.store import accounts, credentials, pauses, publications, syncs
from gateway.store.pool import Pool
from gateway.syncs.record import record
from gateway.syncs.recorder import Recorder
from tests.gateway.conftest import opened

pytestmark = pytest.mark.usefixtures("unpublished")
KEY = Ed25519PrivateKey.generate()
READ_ONLY = Rights("1", ("read_only",))
TRADING = Rights("1", ("read_only", "trade"))
REASONS = [
    (TRADING, Code.OVER_PRIVILEGED_KEY),
    (Rights("1", ("withdraw",)), Code.OVER_PRIVILEGED_KEY),
    (Rights("1", ("read_only", "lend", "trade")), Code.OVER_PRIVILEGED_KEY),
    (Rights("1", ("read_only", "lend")), Code.UNKNOWN_RIGHT),
    (Rights("1", ("Read_Only",)), Code.UNKNOWN_RIGHT),
    (Rights("2", ("read_only",)), Code.OTHER_ACCOUNT),
    (Rights("2", ("read_only", "trade")), Code.OTHER_ACCOUNT),
]


def outcome(
    sync: Sync, rights: Rights | None, total: str = "1", made_with: UUID | None = None
) -> SyncOutcome:
    """Return an outcome that read both wallets, with the grant of the given credential if any."""
    wallets = tuple(
        WalletRead(name, Verdict.COMPLETE, datetime.now(UTC), (Balance("BTC", Decimal(total)),))
        for name in OKX.covered_wallets
    )
    text = None
    if made_with is not None:
        text = sign_grant(Grant(made_with, "okx", sync_purpose(sync.id), sync.deadline), KEY)
    return SyncCompleted(
        sync.id, sync.account_id, "okx", Status.COMPLETED, wallets, grant=text, rights=rights
    )


async def recorded(pool: Pool, said: SyncOutcome) -> Sync:
    """Record an outcome and return its sync."""
    async with pool.transaction() as connection:
        sync = await record(connection, said)
    assert sync is not None
    return sync


async def synced(pool: Pool, account: Account, rights: Rights | None, **changed: Any) -> Sync:
    """Sync an account and return the sync."""
    return await recorded(pool, outcome(await opened(pool, account), rights, **changed))


async def paused(pool: Pool, account: Account) -> Pause | None:
    """Return the pause of an account."""
    async with pool.transaction() as connection:
        return (await pauses.find(connection, [account.id])).get(account.id)


async def wallets(pool: Pool, account: Account) -> dict[str, Any]:
    """Return by wallet the reason why it is stale and its amounts."""
    held = await find_held(pool, account.user_id, account.id)
    return {
        each.wallet: (each.error_code, [str(row.total) for row in held.balances if row.wallet == each.wallet])
        for each in held.wallets
    }


async def rows(database: Postgres, query: str) -> list[tuple[Any, ...]]:
    """Run a query as the superuser."""
    async with await database.connect(SUPERUSER) as connection:
        return await (await connection.execute(query.encode())).fetchall()


async def events(database: Postgres, kind: str) -> list[dict[str, Any]]:
    """Return the events of a kind that wait in the outbox."""
    query = f"select body from outbox where subject like 'butler.account.{kind}.%' order by id"  # noqa: S608
    return [json.loads(bytes(body)) for (body,) in await rows(database, query)]


@asynccontextmanager
async def becoming_live(pool: Pool, account: Account) -> AsyncIterator[UUID]:
    """Insert a credential that replaces the account's at the end, as after its verification."""
    credential_id = uuid7()
    async with pool.transaction() as connection:
        await credentials.insert_pending(connection, credential_id, account.user_id, "okx")
    yield credential_id
    async with pool.transaction() as connection:
        await credentials.set_live(connection, credential_id)
        await accounts.set_credential(connection, account.id, credential_id)


async def replaced(pool: Pool, account: Account) -> UUID:
    """Replace an account's credential as an older gateway does, and return the new id."""
    async with becoming_live(pool, account) as credential_id:
        return credential_id


@pytest.mark.parametrize(("rights", "reason"), REASONS)
async def test_a_key_that_is_not_what_it_must_be_stores_nothing_and_pauses(
    pool: Pool, account: Account, database: Postgres, rights: Rights, reason: Code
) -> None:
    """The sync fails with the reason, the earlier balances stay as stale, and one event is published."""
    await synced(pool, account, READ_ONLY)

    sync = await synced(pool, account, rights, total="666.123456789")

    assert (sync.status, sync.error_code, sync.holdings_count) == (Status.FAILED, reason, None)
    assert await wallets(pool, account) == dict.fromkeys(OKX.covered_wallets, (reason, ["1"]))
    assert "666.123456789" not in json.dumps(await rows(database, "select wallets::text from syncs"))
    pause = await paused(pool, account)
    assert pause is not None
    assert (pause.reason, pause.destroyed_at) == (reason, None)
    (event,) = await events(database, "paused")
    assert (event["reason"], event["account_id"]) == (reason, str(account.id))
    assert await rows(database, "select action from audit where action = 'account_paused'") != []


@pytest.mark.parametrize("rights", [READ_ONLY, Rights("1", ())])
async def test_a_key_that_may_only_read_or_not_even_that_is_not_paused(
    pool: Pool, account: Account, rights: Rights
) -> None:
    """The wallets say that the Read permission is missing; such a key is harmless."""
    sync = await synced(pool, account, rights)

    assert (sync.status, sync.rights_unproven) == (Status.COMPLETED, False)
    assert await paused(pool, account) is None


async def test_the_rights_count_where_no_wallet_could_be_read(pool: Pool, account: Account) -> None:
    """A key that lost Read and may trade counts as over-privileged."""
    sync = await opened(pool, account)
    said = SyncFailed(sync.id, account.id, "okx", Code.PERMISSION_MISSING, "", rights=TRADING)

    assert (await recorded(pool, said)).error_code == Code.OVER_PRIVILEGED_KEY
    assert await paused(pool, account) is not None


async def test_rights_that_stay_away_are_unproven_and_the_wallets_count(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The status follows from the wallets; sync, list and event say that the rights are unproven."""
    sync = await synced(pool, account, None)

    assert (sync.status, sync.rights_unproven) == (Status.COMPLETED, True)
    async with pool.transaction() as connection:
        found = await syncs.find_sync(connection, account.user_id, sync.id)
        listed = await syncs.list_syncs(connection, account.id, None, 10)
    assert found is not None
    assert [each.rights_unproven for each in (found, *listed)] == [True, True]
    (event,) = await events(database, "synced")
    assert event["rights_unproven"] is True


async def test_a_sync_that_read_nothing_has_nothing_unproven(pool: Pool, account: Account) -> None:
    """Without numbers there are no rights to prove."""
    sync = await opened(pool, account)

    said = await recorded(pool, SyncFailed(sync.id, account.id, "okx", Code.RATE_LIMITED, ""))

    assert said.rights_unproven is False


async def test_an_outcome_of_the_replaced_key_does_not_pause_the_new_one(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Its numbers are not stored, and the account's current key stays in use."""
    sync = await opened(pool, account)
    old = account.credential_id
    new = await replaced(pool, account)

    said = await recorded(pool, outcome(sync, TRADING, made_with=old))

    assert (said.status, said.error_code) == (Status.FAILED, Code.OVER_PRIVILEGED_KEY)
    assert await paused(pool, account) is None
    assert await events(database, "paused") == []
    assert (await synced(pool, account, TRADING, made_with=new)).status is Status.FAILED
    assert await paused(pool, account) is not None


async def test_without_a_grant_a_sync_older_than_the_key_does_not_pause_it(
    pool: Pool, account: Account
) -> None:
    """If a worker sends no grant, only the time shows which key it used."""
    sync = await opened(pool, account)
    await replaced(pool, account)

    await recorded(pool, outcome(sync, TRADING))

    assert await paused(pool, account) is None


async def test_a_pause_holds_for_its_key_only(pool: Pool, account: Account, database: Postgres) -> None:
    """An older gateway that replaces the key repairs the account, too; a new finding pauses it again."""
    await synced(pool, account, TRADING)
    new = await replaced(pool, account)

    assert await paused(pool, account) is None
    await synced(pool, account, Rights("1", ("lend",)), made_with=new)

    pause = await paused(pool, account)
    assert pause is not None
    assert (pause.credential_id, pause.reason, pause.rights) == (new, Code.UNKNOWN_RIGHT, ("lend",))
    assert len(await events(database, "paused")) == 2


async def test_while_paused_only_proven_numbers_count(pool: Pool, account: Account) -> None:
    """An older gateway opens syncs, and an older worker reads no rights: its numbers are not stored."""
    await synced(pool, account, READ_ONLY)
    await synced(pool, account, Rights("2", ("read_only",)))

    unproven = await synced(pool, account, None, total="666.123456789")
    rightless = await synced(pool, account, Rights("1", ()), total="666")
    proven = await synced(pool, account, READ_ONLY, total="2")

    for sync in (unproven, rightless):
        assert (sync.status, sync.error_code) == (Status.FAILED, Code.OTHER_ACCOUNT)
    assert proven.status is Status.COMPLETED
    assert await wallets(pool, account) == dict.fromkeys(OKX.covered_wallets, (None, ["2"]))
    assert await paused(pool, account) is not None


async def test_outcomes_together_pause_each_account_once(
    pool: Pool, relay: Relay, account: Account, database: Postgres
) -> None:
    """Of ten simultaneous outcomes of one sync one counts, and the account is paused once."""
    sync = await opened(pool, account)
    recorder = Recorder(pool, relay)

    ended = await asyncio.gather(*(recorder.record(outcome(sync, TRADING)) for _ in range(10)))

    assert [each.error_code for each in ended if each] == [Code.OVER_PRIVILEGED_KEY]
    assert len(await events(database, "paused")) == 1


async def test_a_deleted_account_is_not_paused(pool: Pool, account: Account) -> None:
    """Its sync ends, and no other row changes."""
    sync = await opened(pool, account)
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)

    await recorded(pool, outcome(sync, TRADING))

    assert await paused(pool, account) is None


async def test_the_sweeper_publishes_no_request_of_a_paused_account(pool: Pool, account: Account) -> None:
    """A sync that an older gateway opened is left until its deadline."""
    await synced(pool, account, TRADING)
    await opened(pool, account)
    later = datetime.now(UTC) + timedelta(minutes=1)

    async with pool.transaction() as connection:
        lost = await publications.take_lost(connection, "okx", Held(0, 0, later), later, 10)
        await pauses.end(connection, account.id)
        again = await publications.take_lost(connection, "okx", Held(0, 0, later), later, 10)

    assert (len(lost), len(again)) == (0, 1)


def test_a_pause_is_verified_within_a_minute() -> None:
    """The delay of the first verification, its poll interval and its timeout fit into one minute."""
    assert FIRST_VERIFY_SECONDS + LOOK_SECONDS + VERIFY_SECONDS <= 60
