"""Holdings are the exact sums of the balances read last, and name the missing wallets."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from contracts.exchanges.okx import OKX
from contracts.faults import Code
from contracts.syncs import TotalCheck, WalletRead
from contracts.values import Balance
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.look import find_held
from gateway.errors import NotFound
from gateway.portfolio.holdings import Holding, Holdings, WalletState, summed
from gateway.rows.accounts import Account
from gateway.store import accounts
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import failed, outcome, read, recorded
from tests.system.test_sweeper import run
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("unpublished")
WAITING = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"


async def synced(pool: Pool, account: Account, *wallets: WalletRead) -> None:
    """Record a sync with these reads."""
    sync = await opened(pool, account)
    assert await recorded(pool, outcome(sync, *wallets), timedelta(0)) is not None


async def held(pool: Pool, account: Account) -> Holdings:
    """Return the holdings of an account."""
    found = await find_held(pool, account.user_id, account.id)
    return summed(OKX, found.wallets, found.balances)


async def assets(pool: Pool, account: Account) -> dict[str, Holding]:
    """Return the holdings by asset."""
    return {each.asset: each for each in (await held(pool, account)).assets or ()}


async def test_an_account_that_was_never_read_has_unknown_holdings(pool: Pool, account: Account) -> None:
    """Not empty ones; a failed first sync makes no difference."""
    await synced(pool, account, failed("trading"), failed("funding"))

    found = await held(pool, account)

    assert (found.assets, found.as_of, found.complete) == (None, None, False)
    assert set(found.in_state(WalletState.NEVER_READ)) == set(OKX.covered_wallets)


async def test_an_account_that_is_empty_holds_nothing(pool: Pool, account: Account) -> None:
    """That is known and complete."""
    await synced(pool, account, read("trading"), read("funding"))

    found = await held(pool, account)

    assert (found.assets, found.complete) == ((), True)


async def test_an_asset_is_summed_over_its_wallets_without_rounding(pool: Pool, account: Account) -> None:
    """Also with more digits than Python's default context keeps; zeros are left out."""
    large, small = Decimal("123456789012345678901.5"), Decimal("0.00000000000000000001")
    await synced(
        pool,
        account,
        read("trading", Balance("BTC", large, large, Decimal(0), Decimal(1)), Balance("ETH", Decimal(0))),
        read("funding", Balance("BTC", small, small, Decimal(0))),
    )

    found = await assets(pool, account)

    assert set(found) == {"BTC"}
    btc, exact = found["BTC"], Decimal("123456789012345678901.50000000000000000001")
    assert (btc.total, btc.available, btc.locked, btc.borrowed) == (exact, exact, Decimal(0), Decimal(1))
    assert set(btc.wallets) == {"trading", "funding"}


async def test_a_debt_without_a_total_is_shown(pool: Pool, account: Account) -> None:
    """An asset of which the user holds nothing and owes five stays in the holdings, with its debt."""
    await synced(
        pool, account, read("trading", Balance("USDT", Decimal(0), borrowed=Decimal(5))), read("funding")
    )

    assert (await assets(pool, account))["USDT"].borrowed == 5


async def test_interest_is_summed_apart_from_debts(pool: Pool, account: Account) -> None:
    """It survives the database with every digit, and is shown also where nothing else is left."""
    owed = {"borrowed": Decimal(5), "interest": Decimal("0.000000000000000000000001")}
    rows = Balance("USDT", Decimal(-5), **owed), Balance("BTC", Decimal(0), interest=Decimal("0.1"))
    await synced(pool, account, read("trading", *rows), read("funding", Balance("USDT", Decimal(7))))

    found = await assets(pool, account)

    usdt = found["USDT"]
    assert (usdt.total, usdt.borrowed, usdt.interest) == (Decimal(2), owed["borrowed"], owed["interest"])
    assert found["BTC"].interest == Decimal("0.1")


async def test_a_sum_with_an_unknown_part_is_unknown(pool: Pool, account: Account) -> None:
    """The total is known although one wallet does not tell how much of it is available."""
    await synced(
        pool,
        account,
        read("trading", Balance("BTC", Decimal(1), Decimal(1), None)),
        read("funding", Balance("BTC", Decimal(2), None, None)),
    )

    btc = (await assets(pool, account))["BTC"]

    assert (btc.total, btc.available, btc.locked, btc.borrowed) == (Decimal(3), None, None, None)


async def test_a_wallet_that_could_not_be_read_keeps_its_last_numbers(pool: Pool, account: Account) -> None:
    """The sums hold them still, and are not complete; their time is that of the older read."""
    await synced(
        pool,
        account,
        read("trading", Balance("BTC", Decimal(1))),
        read("funding", Balance("BTC", Decimal(2))),
    )
    first = (await held(pool, account)).as_of
    await synced(pool, account, read("trading", Balance("BTC", Decimal(5))), failed("funding"))

    found = await held(pool, account)

    assert found.assets is not None
    assert [each.total for each in found.assets] == [7]
    assert (found.in_state(WalletState.STALE), found.complete) == (("funding",), False)
    assert first is not None
    assert found.as_of is not None
    assert found.as_of >= first


async def test_a_wallet_that_disagrees_with_the_exchange_is_not_complete(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """Fresh as it may be."""
    await synced(pool, account, read("trading"), read("funding"))
    await run(database, "update account_wallets set total_check = 'disagrees' where wallet = 'trading'")

    found = await held(pool, account)

    assert found.total_checks["trading"] is TotalCheck.DISAGREES
    assert (set(found.states.values()), found.complete) == ({WalletState.FRESH}, False)


@pytest.mark.parametrize("whose", ["another user's", "deleted", "unknown"])
async def test_balances_of_an_account_that_is_not_the_user_s_are_not_found(
    pool: Pool, account: Account, whose: str
) -> None:
    """All three answers are the same."""
    await synced(pool, account, read("trading"), read("funding"))
    if whose == "deleted":
        async with pool.transaction() as connection:
            await accounts.delete_account(connection, account.id)

    with pytest.raises(NotFound):
        await find_held(
            pool,
            uuid4() if whose == "another user's" else account.user_id,
            uuid4() if whose == "unknown" else account.id,
        )


async def test_wallets_and_balances_are_of_one_moment(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """A sync that is recorded between two queries shows in both or in neither."""
    await synced(pool, account, read("trading", Balance("BTC", Decimal(1))), read("funding"))
    async with await database.connect(SUPERUSER) as admin, admin.transaction():
        await admin.execute("lock table balances in access exclusive mode")
        reading = asyncio.create_task(held(pool, account))

        async def waits() -> bool:
            return await run(database, WAITING) != []

        await until(waits)
        await admin.execute("update balances set total = 2")
        await admin.execute("update account_wallets set error_code = %s", [Code.EXCHANGE_TIMEOUT])
    found = await reading

    assert found.assets is not None
    seen = ([each.total for each in found.assets], bool(found.in_state(WalletState.STALE)))
    assert seen in (([Decimal(1)], False), ([Decimal(2)], True))
