"""What a sync keeps beside balances: drift, open positions, and what an unread part of a wallet held."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from contracts.exchanges.okx import OKX
from contracts.faults import Code
from contracts.positions import Position
from contracts.syncs import Status, Totals, Verdict, WalletRead
from contracts.values import Balance
from gateway.accounts.look import find_held, find_positions, list_drift
from gateway.errors import NotFound
from gateway.http.position_views import WalletPositionsView, drift_page, positions_view
from gateway.http.views import balances_view
from gateway.portfolio.holdings import WalletState
from gateway.rows.accounts import Account
from gateway.store import accounts
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import failed, outcome, recorded, shown, totals

pytestmark = pytest.mark.usefixtures("unpublished")
SHORT = Position("7", "ETH-USDT-SWAP", "swap", "short", Decimal("12.000000000000000001"), currency="USDT")
UNREAD: dict[str, Any] = {
    "verdict": Verdict.INCOMPLETE,
    "error_code": Code.UNREAD_PARTS,
    "endpoint": "dual_orders",
    "unread_parts": ("dual_orders",),
}


def read(wallet: str, *balances: Balance, worth: tuple[str, str] | None = None, **more: Any) -> WalletRead:
    """Return a wallet that was read now; `worth` is that of its list, and the exchange's valuation."""
    told = None if worth is None else Totals(Decimal(worth[0]), Decimal(worth[0]), None, Decimal(worth[1]))
    plain = WalletRead(wallet, Verdict.COMPLETE, datetime.now(UTC), balances, totals=told)
    return msgspec.structs.replace(plain, **more)


def held(asset: str, total: str) -> Balance:
    """Return a balance."""
    return Balance(asset, Decimal(total))


async def synced(pool: Pool, account: Account, *wallets: WalletRead, patience: float = 300) -> Any:
    """Record a sync with these reads and an empty funding wallet, and return it."""
    sync = await opened(pool, account)
    return await recorded(pool, outcome(sync, *wallets, read("funding")), timedelta(seconds=patience))


async def earn(pool: Pool, account: Account) -> dict[str, tuple[str, bool]]:
    """Return the amounts of the earn wallet by asset, and whether each is stale."""
    view = balances_view(await find_held(pool, account.user_id, account.id))
    (wallet,) = (each for each in view.wallets if each.wallet == "earn")
    return {each.asset: (each.total, each.stale_as_of is not None) for each in wallet.balances or ()}


async def positions(pool: Pool, account: Account) -> WalletPositionsView:
    """Return the positions of the trading wallet as the API shows them."""
    found, stored, wallets = await find_positions(pool, account.user_id, account.id)
    (wallet,) = positions_view(found.id, OKX, stored, wallets).wallets
    return wallet


async def test_worth_that_only_the_exchange_s_total_has_is_a_named_difference(
    pool: Pool, account: Account
) -> None:
    """Simple Earn Fixed is in no list: the sync is partial, and the wallet says how many USD it lacks."""
    sync = await synced(
        pool, account, read("trading"), read("earn", held("USDT", "50"), worth=("50", "360.5"))
    )

    told = sync.wallets[2]
    assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.UNLISTED_WORTH)
    assert (told.verdict, told.error_code, told.difference_usd) == (
        Verdict.INCOMPLETE,
        Code.UNLISTED_WORTH,
        "310.5",
    )
    _, view = await shown(pool, account)
    assert (totals(view), view.complete, view.incomplete_wallets) == ({"USDT": "50"}, False, ("earn",))


async def test_drift_is_kept_for_each_wallet_and_sync_and_listed_in_pages(
    pool: Pool, account: Account
) -> None:
    """The newest sync is first; a page ends with a whole sync."""
    for number in range(3):
        worth = ("100", str(100 + number))
        reads = (read("trading", worth=worth), read("earn", worth=("5", "5")))
        await synced(pool, account, *reads)

    first, more = await list_drift(pool, account.user_id, account.id, None, 2)
    page = drift_page(first, more=more)
    assert page.next_cursor is not None
    rest, last = await list_drift(pool, account.user_id, account.id, int(page.next_cursor), 2)

    told = [(each.wallet, each.ours, each.theirs, each.missing) for each in page.items]
    assert told == [
        ("earn", "5", "5", "0"),
        ("trading", "100", "102", "2"),
        ("earn", "5", "5", "0"),
        ("trading", "100", "101", "1"),
    ]
    assert ([each.wallet for each in rest], more, last) == (["earn", "trading"], True, False)
    assert drift_page(rest, more=last).next_cursor is None


@pytest.mark.parametrize("whose", ["another user's", "deleted"])
async def test_drift_and_positions_of_an_account_that_is_not_the_user_s_are_not_found(
    pool: Pool, account: Account, whose: str
) -> None:
    """They are deleted with the account."""
    await synced(pool, account, read("trading", worth=("1", "1"), positions=(SHORT,)))
    user_id = uuid4() if whose == "another user's" else account.user_id
    if whose == "deleted":
        async with pool.transaction() as connection:
            await accounts.delete_account(connection, account.id)
            left = await connection.execute("select 1 from drift union all select 1 from positions")
            assert await left.fetchall() == []

    with pytest.raises(NotFound):
        await list_drift(pool, user_id, account.id, None, 2)
    with pytest.raises(NotFound):
        await find_positions(pool, user_id, account.id)


async def test_positions_are_shown_beside_balances_and_in_none(pool: Pool, account: Account) -> None:
    """With every digit; before the first sync they are unknown, and after it none is an empty list."""
    assert (await positions(pool, account)).state is WalletState.NEVER_READ
    as_of = datetime.now(UTC)
    await synced(pool, account, read("trading", held("USDT", "1"), positions=(SHORT,), positions_as_of=as_of))

    view = await positions(pool, account)

    assert (view.state, view.as_of) == (WalletState.FRESH, as_of)
    assert [(each.side, each.size, each.entry) for each in view.positions or ()] == [
        ("short", "12.000000000000000001", None)
    ]
    assert totals((await shown(pool, account))[1]) == {"USDT": "1"}
    await synced(pool, account, read("trading", positions=(), positions_as_of=datetime.now(UTC)))
    assert (await positions(pool, account)).positions == ()


@pytest.mark.parametrize("trading", ["complete", "failed"])
async def test_positions_that_could_not_be_read_stay_with_their_time(
    pool: Pool, account: Account, trading: str
) -> None:
    """The old ones are stale with the code; the wallet's balances are not affected."""
    as_of = datetime.now(UTC)
    await synced(pool, account, read("trading", positions=(SHORT,), positions_as_of=as_of))
    again = read("trading") if trading == "complete" else failed("trading")

    sync = await synced(pool, account, msgspec.structs.replace(again, positions_code=Code.RATE_LIMITED))

    view = await positions(pool, account)
    assert (view.state, view.as_of, view.error_code) == (WalletState.STALE, as_of, Code.RATE_LIMITED)
    assert len(view.positions or ()) == 1
    assert sync.status is (Status.COMPLETED if trading == "complete" else Status.PARTIAL)


async def test_a_worker_of_the_release_before_changes_no_positions(pool: Pool, account: Account) -> None:
    """Its outcome has none, which is no empty list, and no earn wallet; the sync completes."""
    await synced(pool, account, read("trading", positions=(SHORT,), positions_as_of=datetime.now(UTC)))

    sync = await synced(pool, account, read("trading"), WalletRead("earn", Verdict.NOT_COVERED))

    assert sync.status is Status.COMPLETED
    assert len((await positions(pool, account)).positions or ()) == 1


async def test_an_asset_of_an_unread_part_stays_as_stale(pool: Pool, account: Account) -> None:
    """A failed read is no zero, however often and however late the part is missing."""
    await synced(pool, account, read("trading"), read("earn", held("USDT", "5"), held("BTC", "1")))

    for _ in range(2):
        sync = await synced(
            pool, account, read("trading"), read("earn", held("USDT", "6"), **UNREAD), patience=0
        )

        assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.UNREAD_PARTS)
        assert "dual_orders" in sync.error
        assert await earn(pool, account) == {"USDT": ("6", False), "BTC": ("1", True)}

    await synced(pool, account, read("trading"), read("earn", held("USDT", "6")), patience=0)
    assert await earn(pool, account) == {"USDT": ("6", False), "BTC": ("1", True)}
    await synced(pool, account, read("trading"), read("earn", held("USDT", "6")), patience=0)
    assert await earn(pool, account) == {"USDT": ("6", False)}


async def test_an_asset_of_a_part_that_is_read_can_go_while_another_is_never_read(
    pool: Pool, account: Account
) -> None:
    """Otherwise savings that were moved would count twice for as long as another part is not permitted."""
    await synced(pool, account, read("trading"), read("earn", held("USDT", "5"), held("BTC", "1"), **UNREAD))
    less = read("earn", held("USDT", "5"), **UNREAD)

    sync = await synced(pool, account, read("trading"), less)
    assert sync.error_code == Code.UNCONFIRMED_LOSS
    assert await earn(pool, account) == {"USDT": ("5", False), "BTC": ("1", False)}

    await synced(pool, account, read("trading"), less, patience=0)
    assert await earn(pool, account) == {"USDT": ("5", False)}
