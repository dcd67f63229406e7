"""A sync leaves a wallet unread only while it held nothing a short while ago and is worth nothing."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from contracts.faults import Code
from contracts.syncs import Status, Totals, Verdict, WalletRead
from contracts.values import Balance
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.accounts.look import find_held, list_drift
from gateway.http.views import balances_view
from gateway.portfolio.holdings import WalletState
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store import syncs
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.opening import WAYS, opened_by, queued
from tests.gateway.syncs.recorded import failed, outcome, read, recorded
from tests.gateway.syncs.test_requests import asking, requests
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
HOLDING = Balance("BTC", Decimal("0.5"))
# OKX lists an asset that it has no price for; so does one of which nothing is left.
ZERO = Balance("XYZ", Decimal(0))


def not_due(usd: str = "0") -> WalletRead:
    """Return the earn wallet as unread, with a valuation of now."""
    return WalletRead("earn", Verdict.NOT_DUE, datetime.now(UTC), totals=Totals(valued=Decimal(usd)))


async def synced(pool: Pool, account: Account, earn: WalletRead) -> Sync:
    """Sync an account; trading and funding are read, and earn as said, but now."""
    if earn.as_of is not None:
        earn = msgspec.structs.replace(earn, as_of=datetime.now(UTC))
    said = outcome(await opened(pool, account), read("trading"), read("funding"), earn)
    sync = await recorded(pool, said)
    assert sync is not None
    return sync


async def aged(database: Postgres, minutes: int) -> None:
    """Let the earn wallet have been read some minutes ago."""
    await run(
        database,
        "update account_wallets set as_of = now() - make_interval(mins => %s) where wallet = 'earn'",
        minutes,
    )


@pytest.mark.parametrize("by", WAYS)
async def test_each_way_to_open_a_sync_says_that_earn_was_empty(
    pool: Pool, nats: Nats, account: Account, database: Postgres, by: str
) -> None:
    """Of the wallets that were empty only those that the exchange values are named."""
    await synced(pool, account, read("earn"))

    assert (await opened_by(by, pool, nats, account, database)).lately_empty == ("earn",)


@pytest.mark.parametrize(
    "earn", [None, read("earn", HOLDING), read("earn", ZERO), failed("earn"), "six hours ago"]
)
async def test_a_wallet_that_may_hold_something_is_read_in_each_sync(
    pool: Pool, nats: Nats, account: Account, database: Postgres, earn: WalletRead | str | None
) -> None:
    """It was never read, holds something even if it is worth nothing, has failed, or was empty long ago."""
    if isinstance(earn, WalletRead):
        if earn.verdict is Verdict.FAILED:
            await synced(pool, account, read("earn"))
        await synced(pool, account, earn)
    elif earn is not None:
        await synced(pool, account, read("earn"))
        await aged(database, 360)

    await requests(pool, nats).one(asking(account.user_id), account.id)

    assert (await queued(database)).lately_empty == ()


async def test_a_wallet_that_is_not_due_keeps_its_state_and_its_time(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """The sync completes as of the valuation, and says what it did not read."""
    await synced(pool, account, read("earn"))
    await aged(database, 340)
    valued = not_due("0.01")

    sync = await synced(pool, account, valued)

    held = await find_held(pool, account.user_id, account.id)
    earn = balances_view(held).wallets[2]
    assert (sync.status, sync.error_code, sync.wallets[2].verdict) == (
        Status.COMPLETED,
        None,
        Verdict.NOT_DUE,
    )
    assert (earn.state, earn.balances) == (WalletState.FRESH, ())
    assert earn.as_of is not None
    assert datetime.now(UTC) - earn.as_of > timedelta(minutes=339)
    assert held.account.last_synced_at is not None
    assert datetime.now(UTC) - held.account.last_synced_at < timedelta(minutes=1)


async def test_a_wallet_that_was_not_due_is_stored_as_the_first_gateways_know_it(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """They can not read another verdict; today's shows what it was."""
    await synced(pool, account, read("earn"))
    sync = await synced(pool, account, not_due())

    rows = await run(database, "select wallets -> 2 ->> 'verdict' from syncs order by number")
    async with pool.transaction() as connection:
        found = await syncs.find(connection, sync.id)

    assert rows == [("complete",), ("not_covered",)]
    assert found is not None
    assert found.wallets == sync.wallets
    assert found.wallets[2].verdict is Verdict.NOT_DUE


WRONGLY = {
    "it holds something": (read("earn", HOLDING), 0, not_due()),
    "it holds something worth nothing": (read("earn", ZERO), 0, not_due()),
    "its last read failed": (failed("earn"), 0, not_due()),
    "it was read long ago": (read("earn"), 362, not_due()),
    "it is worth something": (read("earn"), 0, not_due("5000")),
    "nobody valued it": (read("earn"), 0, WalletRead("earn", Verdict.NOT_DUE, datetime.now(UTC))),
}


@pytest.mark.parametrize("why", WRONGLY)
async def test_a_worker_that_leaves_a_wallet_out_wrongly_does_not_look_right(
    pool: Pool, account: Account, database: Postgres, why: str
) -> None:
    """The wallet has failed: the sync is partial, and the list is stale."""
    before, minutes, said = WRONGLY[why]
    await synced(pool, account, before)
    if minutes:
        await aged(database, minutes)
    last = (await find_held(pool, account.user_id, account.id)).account.last_synced_at

    sync = await synced(pool, account, said)

    held = await find_held(pool, account.user_id, account.id)
    earn = balances_view(held).wallets[2]
    assert (sync.status, sync.wallets[2].error_code) == (Status.PARTIAL, Code.INTERNAL_ERROR)
    assert earn.state in {WalletState.STALE, WalletState.NEVER_READ}
    assert [each.asset for each in earn.balances or ()] == [each.asset for each in before.balances or ()]
    assert held.account.last_synced_at == last


async def test_a_wallet_other_than_earn_is_never_left_out(pool: Pool, account: Account) -> None:
    """The funding account is one read, and the exchange lists what it does not value there."""
    await synced(pool, account, read("earn"))
    said = msgspec.structs.replace(not_due(), wallet="funding")

    sync = await recorded(pool, outcome(await opened(pool, account), read("trading"), said, read("earn")))

    assert sync is not None
    assert (sync.status, sync.wallets[1].error_code) == (Status.PARTIAL, Code.INTERNAL_ERROR)


@pytest.mark.parametrize(
    "earn", [msgspec.structs.replace(failed("earn"), totals=Totals(valued=Decimal(5000))), not_due("5000")]
)
async def test_drift_shows_what_an_unread_wallet_is_worth(
    pool: Pool, account: Account, earn: WalletRead
) -> None:
    """Money in a wallet that no sync read does not vanish silently."""
    await synced(pool, account, read("earn"))

    await synced(pool, account, earn)

    rows, _ = await list_drift(pool, account.user_id, account.id, None, 1)
    assert [(each.wallet, each.ours, each.theirs) for each in rows] == [("earn", None, Decimal(5000))]
