"""Each sub-account that a master's key lists is an account of its own, and counts once."""

import asyncio
from typing import Any

import msgspec
import pytest

from contracts.credentials import Verified
from contracts.exchanges.okx import OKX
from contracts.faults import Code
from contracts.syncs import Status, SubAccount, SubAccountList, SyncRequested
from contracts.wire.envelope import decode
from contracts.wire.grants import granted_credential
from deploy.local.postgres import Postgres
from gateway.accounts.change import Changes, change
from gateway.accounts.connect import connect
from gateway.accounts.delete import Deleting
from gateway.accounts.look import find_held
from gateway.errors import InvalidInput
from gateway.http.holdings_views import holdings_view
from gateway.http.views import balances_view
from gateway.rows.accounts import Account
from gateway.store import schedules
from gateway.store.pool import Pool
from gateway.syncs.open import open_due
from tests.gateway.accounts.listing import (
    ONE,
    TWO,
    children,
    gone_since,
    listed,
    outcome,
    recorded,
    synced,
    turned,
    wallets,
    with_two,
)
from tests.gateway.accounts.submitting import Scene
from tests.gateway.accounts.test_pause import TRADING, events, paused
from tests.gateway.conftest import opened
from tests.gateway.syncs.test_open import TERMS
from tests.gateway.syncs.test_open import opened as requested
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
LISTING = "select error_code, more, left_out from sub_account_lists"


async def stored(pool: Pool, account: Account) -> dict[str, Any]:
    """Return the states and the reasons of the wallets as the API shows them."""
    view = balances_view(await find_held(pool, account.user_id, account.id))
    return {each.wallet: (str(each.state), each.error_code) for each in view.wallets}


async def test_a_list_adds_an_account_for_each_sub_account(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """They have the exchange's uid and name, and are due within a minute; a second list adds none."""
    added = await with_two(pool, account)
    again = await listed(pool, account, SubAccountList((TWO, ONE)))

    assert again == added
    assert [(each.name, each.exchange_uid, each.master_uid) for each in added.values()] == [
        ("savings1", "11", "1"),
        ("trading2", "12", "1"),
    ]
    soon = "select count(*) from schedule where next_at < now() + interval '61 seconds'"
    assert await run(database, soon) == [(2,)]


async def test_nothing_is_listed_before_the_setting_is_on(pool: Pool, account: Account) -> None:
    """A list that nobody asked for, or that comes after the setting was turned off, changes nothing."""
    assert await listed(pool, account, SubAccountList((ONE,))) == {}


async def test_a_list_that_failed_changes_no_account(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The reason is kept beside what the list before said."""
    added = await with_two(pool, account)

    assert await listed(pool, account, SubAccountList(error_code=Code.RATE_LIMITED)) == added
    assert await run(database, LISTING) == [("rate_limited", False, [])]
    assert [await gone_since(pool, each.id) for each in added.values()] == [None, None]


@pytest.mark.parametrize("lacking", [{"more": True}, {"unreadable": 1}])
async def test_a_list_that_is_not_whole_marks_no_sub_account_as_gone(
    pool: Pool, account: Account, lacking: dict[str, Any]
) -> None:
    """The missing one may be in the part that was not read."""
    added = await with_two(pool, account)

    await listed(pool, account, SubAccountList((ONE,), **lacking))

    assert await gone_since(pool, added["trading2"].id) is None


async def test_a_sub_account_that_is_no_longer_listed_is_stale(pool: Pool, account: Account) -> None:
    """Its numbers stay, with the reason; when it is listed again, the next sync makes them fresh."""
    child = (await with_two(pool, account))["trading2"]
    await synced(pool, child, TWO)

    await listed(pool, account, SubAccountList((ONE,)))

    assert await gone_since(pool, child.id) is not None
    assert (await stored(pool, child))["trading"] == ("stale", "sub_account_gone")
    held = await find_held(pool, child.user_id, child.id)
    assert [str(each.total) for each in held.balances] == ["1", "1"]
    await listed(pool, account, SubAccountList((ONE, TWO)))
    await synced(pool, child, TWO)
    assert await gone_since(pool, child.id) is None
    assert (await stored(pool, child))["trading"] == ("fresh", None)


async def test_the_request_of_a_sub_account_names_it_and_uses_the_key_of_the_master(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A request of a person and one of the schedule alike; only that of the master asks for the list."""
    children_ = await with_two(pool, account)
    await run(database, "update schedule set next_at = now() where account_id = %s", children_["trading2"].id)
    await run(database, "delete from outbox")
    await requested(pool, children_["savings1"].id)
    await requested(pool, account.id)
    async with pool.transaction() as connection:
        due = await schedules.claim(connection, "okx", "butler.sync.scheduled.okx", 10)
        await open_due(connection, TERMS, due)

    bodies = await run(database, "select body from outbox where stream = 'SYNC_REQUESTS' order by id")
    asked: list[SyncRequested] = [decode(bytes(body), SyncRequested) for (body,) in bodies]

    assert [(each.sub_account, each.list_sub_accounts) for each in asked] == [
        (ONE, False),
        (None, True),
        (TWO, False),
    ]
    assert {each.credential_id for each in asked} == {account.credential_id}
    assert {granted_credential(each.grant) for each in asked} == {account.credential_id}


async def test_a_sub_account_is_complete_without_the_wallets_that_the_key_does_not_reach(
    pool: Pool, account: Account
) -> None:
    """Earn is named as not covered, with the reason, and is in no number."""
    child = (await with_two(pool, account))["savings1"]

    sync = await synced(pool, child, ONE)

    assert sync.status is Status.COMPLETED
    assert await stored(pool, child) == {
        "trading": ("fresh", None),
        "funding": ("fresh", None),
        "earn": ("not_covered", "needs_own_key"),
    }
    held = await find_held(pool, child.user_id, child.id)
    view = holdings_view(held)
    assert (view.complete, view.missing_wallets, view.not_covered_wallets) == (True, (), ("earn",))
    assert held.account.last_synced_at is not None


@pytest.mark.parametrize("named", [None, TWO, SubAccount("11", "other"), SubAccount("99", "savings1")])
async def test_wallets_that_are_not_proven_to_be_of_the_sub_account_do_not_count(
    pool: Pool, account: Account, named: SubAccount | None
) -> None:
    """A worker of the release before reads the master's balances, and does not name the sub-account."""
    child = (await with_two(pool, account))["savings1"]
    await synced(pool, child, ONE, total="5")

    sync = await synced(pool, child, named, total="7")

    assert (sync.status, sync.error_code) == (Status.FAILED, "sub_account_unproven")
    held = await find_held(pool, child.user_id, child.id)
    assert {str(each.total) for each in held.balances} == {"5"}
    assert (await stored(pool, child))["trading"] == ("stale", "sub_account_unproven")
    assert (await stored(pool, child))["earn"] == ("not_covered", "needs_own_key")


async def test_wallets_of_a_sub_account_do_not_count_for_its_master(pool: Pool, account: Account) -> None:
    """An outcome that names a sub-account is not that of an account with a key of its own."""
    sync = await synced(pool, account, ONE)

    assert (sync.status, sync.error_code) == (Status.FAILED, "sub_account_unproven")


async def test_only_a_master_lists_sub_accounts(pool: Pool, account: Account, database: Postgres) -> None:
    """Neither an account that a list added, nor a sub-account with a key of its own."""
    child = (await with_two(pool, account))["savings1"]
    await run(database, "update accounts set master_uid = '5' where id = %s", account.id)

    for each in (child, account):
        with pytest.raises(InvalidInput, match="invalid_input"):
            await change(pool, each.user_id, each.id, Changes(sub_accounts=True))


async def test_a_key_of_its_own_takes_the_account_of_a_sub_account_over(
    scene: Scene, pool: Pool, account: Account, deleting: Deleting, database: Postgres
) -> None:
    """It keeps its id and its balances, and no list adds it again, until it is deleted."""
    child = (await with_two(pool, account))["savings1"]
    await synced(pool, child, ONE)
    scene.others.verified = Verified("11", "1", ("read_only",), ())

    own = (await connect(scene.intake, scene.submission(account.user_id), "mine")).account

    assert (own.id, own.name, own.exchange_uid) == (child.id, "mine", "11")
    assert own.credential_id not in (child.credential_id, account.credential_id)
    assert (await stored(pool, own))["earn"] == ("never_read", None)
    assert (await stored(pool, own))["trading"] == ("fresh", None)
    assert set(await listed(pool, account, SubAccountList((ONE, TWO)))) == {"trading2"}
    assert await run(database, "select left_out -> 0 ->> 'reason' from sub_account_lists") == [("own_key",)]

    await deleting.delete(account.user_id, own.id)
    again = await listed(pool, account, SubAccountList((ONE, TWO)))
    assert set(again) == {"savings1", "trading2"}
    assert again["savings1"].id != own.id


async def test_a_key_of_its_own_ends_the_pause_of_a_sub_account_and_says_so(
    scene: Scene, pool: Pool, account: Account, database: Postgres
) -> None:
    """Subscribers hear that it goes on, and the audit names the account that got the key."""
    child = (await with_two(pool, account))["savings1"]
    await recorded(pool, outcome(await opened(pool, account), wallets("trading"), TRADING))
    assert await paused(pool, child) is not None
    scene.others.verified = Verified("11", "1", ("read_only",), ())

    await connect(scene.intake, scene.submission(account.user_id), "mine")

    assert await paused(pool, child) is None
    assert [each["account_id"] for each in await events(database, "resumed")] == [str(child.id)]
    connected = "select subject from audit where action = 'account_connected' and detail ? 'credential_id'"
    assert await run(database, connected) == [(child.id,)]


async def test_a_list_and_a_key_at_once_make_one_account(
    scene: Scene, pool: Pool, account: Account, database: Postgres
) -> None:
    """Whichever comes first, the account has the key of its own in the end, and no parent."""
    await turned(pool, account, on=True)
    scene.others.verified = Verified("11", "1", ("read_only",), ())

    connected, _ = await asyncio.gather(
        connect(scene.intake, scene.submission(account.user_id), "mine"),
        listed(pool, account, SubAccountList((ONE, TWO))),
    )
    await listed(pool, account, SubAccountList((ONE, TWO)))

    alive = "select id, credential_id from accounts where exchange_uid = '11' and deleted_at is null"
    assert await run(database, alive) == [(connected.account.id, connected.account.credential_id)]
    assert set(await children(pool, account)) == {"trading2"}


async def test_an_open_sync_of_the_sub_account_does_not_count_for_its_own_key(
    scene: Scene, pool: Pool, account: Account
) -> None:
    """It was read with the master's key: it fails, and pauses nothing."""
    child = (await with_two(pool, account))["savings1"]
    sync = await opened(pool, child)
    scene.others.verified = Verified("11", "1", ("read_only",), ())
    await connect(scene.intake, scene.submission(account.user_id), "mine")

    said = msgspec.structs.replace(outcome(sync, wallets(*OKX.sub_account_wallets)), sub_account=ONE)
    ended = await recorded(pool, said)

    assert ended.error_code == "sub_account_unproven"
    assert await paused(pool, child) is None
