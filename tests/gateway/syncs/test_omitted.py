"""A wallet that a sync leaves out with a reason is not covered: not missing, not empty, and named beside."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from contracts.exchanges.binance import BINANCE
from contracts.faults import Code, fault_of
from contracts.syncs import LEFT_OUT_CODES, Status, TotalCheck, Totals, Verdict
from contracts.uncovered import Reason, Uncovered, UncoveredEntry
from contracts.values import Balance
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.accounts.look import find_held, find_not_covered, find_positions
from gateway.accounts.worth import find_portfolio
from gateway.http.holdings_views import HoldingsView, holdings_view
from gateway.http.position_views import positions_view
from gateway.http.views import WalletView, balances_view
from gateway.http.worth_views import PortfolioView, portfolio_view
from gateway.portfolio.holdings import WalletState
from gateway.portfolio.uncovered import NotCovered
from gateway.prices.readings import Readings
from gateway.rows.accounts import Account
from gateway.store import syncs
from gateway.store.pool import Pool
from tests.gateway.syncs.omitting import (
    COIN,
    FUTURES,
    MARGIN,
    PORTFOLIO_MARGIN,
    REASONS,
    USUAL,
    omitted,
    synced,
)
from tests.gateway.syncs.opening import opened_by
from tests.gateway.syncs.recorded import failed, read

pytestmark = pytest.mark.usefixtures("unpublished")


async def shown(pool: Pool, account: Account) -> tuple[dict[str, WalletView], HoldingsView, PortfolioView]:
    """Return the account's wallets, holdings and portfolio as the API shows them."""
    held = await find_held(pool, account.user_id, account.id)
    portfolio = portfolio_view(await find_portfolio(pool, Readings(pool), account.user_id, None))
    return {each.wallet: each for each in balances_view(held).wallets}, holdings_view(held), portfolio


async def beside(pool: Pool, account: Account) -> dict[str, NotCovered]:
    """Return the entries beside the account's totals."""
    return {each.name: each for each in (await find_not_covered(pool, [account])).get(account.id, ())}


async def test_a_wallet_with_a_reason_makes_no_sync_partial_and_is_not_missing(
    pool: Pool, binance: Account
) -> None:
    """Each view has its code, words and step; totals are whole, and wallets with contents stand beside."""
    sync = await synced(pool, binance, omitted(FUTURES, Code.REFUSED_RIGHT, "250.5", exchange_code="-2015"))

    wallets, holdings, portfolio = await shown(pool, binance)
    futures = wallets[FUTURES]
    assert (sync.status, sync.error_code) == (Status.COMPLETED, None)
    assert {each.wallet: each.error_code for each in sync.wallets if each.error_code} == REASONS
    assert {each.state for each in wallets.values() if each.error_code} == {WalletState.NOT_COVERED}
    assert (futures.error_code, futures.balances) == (Code.REFUSED_RIGHT, None)
    assert futures.error == f"{fault_of(Code.REFUSED_RIGHT).words} (Binance -2015)"
    assert futures.next_action == fault_of(Code.REFUSED_RIGHT).step
    assert (holdings.complete, holdings.missing_wallets, holdings.stale_wallets) == (True, (), ())
    assert set(holdings.not_covered_wallets) == set(REASONS)
    assert {each.wallet for each in portfolio.wallets} == set(USUAL)
    assert {each.wallet for each in portfolio.reasons if each.wallet} <= set(USUAL)
    assert [(each.wallet, each.worth_usd) for each in portfolio.uncovered] == [
        (FUTURES, "250.5"),
        ("coinm_futures", None),
    ]
    account = (await find_held(pool, binance.user_id, binance.id)).account
    assert account.last_synced_at is not None


async def test_a_failed_wallet_is_the_fault_of_a_sync_that_left_others_out(
    pool: Pool, binance: Account
) -> None:
    """The reason of a wallet that is left out is not a fault of the sync."""
    sync = await synced(pool, binance, omitted("spot", Code.NOT_ENABLED), failed("funding"))

    assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.EXCHANGE_TIMEOUT)


async def test_an_account_of_which_everything_is_left_out_is_not_empty(pool: Pool, binance: Account) -> None:
    """The sync has failed, the holdings and the worth are unknown."""
    sync = await synced(pool, binance, *(omitted(each, Code.REFUSED_RIGHT) for each in USUAL))

    _, holdings, portfolio = await shown(pool, binance)
    assert (sync.status, sync.error_code, sync.holdings_count) == (Status.FAILED, Code.REFUSED_RIGHT, None)
    assert (holdings.holdings, holdings.complete) == (None, False)
    assert (portfolio.total, portfolio.verdict) == (None, "incomplete")
    assert [(each.code, each.account_id) for each in portfolio.reasons] == [("wallet_never_read", binance.id)]


async def test_a_later_reason_leaves_a_wallet_without_one(pool: Pool, binance: Account) -> None:
    """A worker of a later release may have another reason; then the wallet is missing, as before."""
    await synced(pool, binance, omitted("options", "on_the_moon"))

    wallets, holdings, _ = await shown(pool, binance)
    assert (wallets["options"].state, wallets["options"].error_code) == (WalletState.NEVER_READ, None)
    assert holdings.missing_wallets == ("options",)


@pytest.mark.parametrize("code", sorted(LEFT_OUT_CODES))
async def test_a_wallet_that_was_read_keeps_its_numbers_as_stale(
    pool: Pool, binance: Account, code: Code
) -> None:
    """They stay in the total, so it is not named beside it; the next read replaces them."""
    await synced(pool, binance, read(MARGIN, COIN))
    last = (await find_held(pool, binance.user_id, binance.id)).account.last_synced_at

    sync = await synced(pool, binance, omitted(MARGIN, code, "100"))

    wallets, holdings, _ = await shown(pool, binance)
    margin = wallets[MARGIN]
    assert sync.status is Status.COMPLETED
    assert (margin.state, margin.error_code) == (WalletState.STALE, code)
    assert [each.total for each in margin.balances or ()] == ["100"]
    assert (holdings.complete, holdings.stale_wallets) == (False, (MARGIN,))
    assert "Cross margin" not in await beside(pool, binance)
    assert (await find_held(pool, binance.user_id, binance.id)).account.last_synced_at == last

    await synced(pool, binance, read(MARGIN, Balance("USDT", Decimal(50))))
    margin = (await shown(pool, binance))[0][MARGIN]
    assert (margin.state, [each.total for each in margin.balances or ()]) == (WalletState.FRESH, ["50"])


async def test_a_wallet_that_was_empty_is_no_longer_covered(pool: Pool, binance: Account) -> None:
    """No number of it could vanish."""
    await synced(pool, binance, read("options"))

    await synced(pool, binance, omitted("options", Code.REFUSED_RIGHT))

    wallets, holdings, _ = await shown(pool, binance)
    assert (wallets["options"].state, wallets["options"].balances) == (WalletState.NOT_COVERED, None)
    assert holdings.complete
    assert (await beside(pool, binance))["Options"].code == Reason.REFUSED_RIGHT


async def test_contents_that_another_wallet_holds_now_count_once(pool: Pool, binance: Account) -> None:
    """The old list goes when the wallet that replaces it was read, and not before."""
    await synced(pool, binance, read(MARGIN, COIN))
    elsewhere = omitted(MARGIN, Code.HELD_ELSEWHERE)

    await synced(pool, binance, elsewhere, failed(PORTFOLIO_MARGIN))
    wallets, _, _ = await shown(pool, binance)
    assert wallets[MARGIN].state is WalletState.STALE

    await synced(pool, binance, elsewhere, read(PORTFOLIO_MARGIN, COIN))
    wallets, holdings, _ = await shown(pool, binance)
    assert (wallets[MARGIN].state, wallets[MARGIN].balances) == (WalletState.NOT_COVERED, None)
    assert [each.total for each in holdings.holdings or ()] == ["200"]
    assert "Cross margin" not in await beside(pool, binance)


async def test_what_went_back_to_other_wallets_counts_once(pool: Pool, binance: Account) -> None:
    """Without portfolio margin its old list goes when the wallets that it replaced are read, not before."""
    refused = [omitted(each, Code.REFUSED_RIGHT, "5") for each in (FUTURES, "coinm_futures")]
    elsewhere = [omitted(each, Code.HELD_ELSEWHERE) for each in (MARGIN, FUTURES, "coinm_futures")]
    await synced(pool, binance, read(PORTFOLIO_MARGIN, COIN), *elsewhere)
    off = omitted(PORTFOLIO_MARGIN, Code.NOT_ENABLED)

    for others in ([failed(MARGIN), *refused], elsewhere, [omitted(MARGIN, Code.NOT_ENABLED), *refused]):
        await synced(pool, binance, off, *others)
        assert (await shown(pool, binance))[0][PORTFOLIO_MARGIN].state is WalletState.STALE

    await synced(pool, binance, off, read(MARGIN, COIN), *refused)
    wallets, holdings, _ = await shown(pool, binance)
    assert (wallets[PORTFOLIO_MARGIN].state, wallets[MARGIN].state) == (
        WalletState.NOT_COVERED,
        WalletState.FRESH,
    )
    assert [each.total for each in holdings.holdings or ()] == ["200"]
    assert {"USD-M futures", "COIN-M futures"} <= (await beside(pool, binance)).keys()


async def test_a_sync_that_fails_as_a_whole_changes_no_reason(
    pool: Pool, binance: Account, database: Postgres, nats: Nats
) -> None:
    """The wallets that were read are stale; the others are not covered as before, and not asked for."""
    await synced(pool, binance)

    await synced(pool, binance, *(failed(each) for each in (*USUAL, *REASONS)))

    wallets, holdings, _ = await shown(pool, binance)
    assert {each for each, view in wallets.items() if view.state is WalletState.STALE} == set(USUAL)
    assert {each: wallets[each].error_code for each in REASONS} == REASONS
    assert holdings.missing_wallets == ()
    request = await opened_by("a person", pool, nats, binance, database)
    assert request.lately_refused == (FUTURES, "coinm_futures")


async def test_a_wallet_that_fails_alone_is_missing(pool: Pool, binance: Account) -> None:
    """The user may have enabled it since: its contents are unknown."""
    await synced(pool, binance)

    sync = await synced(pool, binance, failed("options"))

    wallets, holdings, _ = await shown(pool, binance)
    assert sync.status is Status.PARTIAL
    assert (wallets["options"].state, holdings.missing_wallets) == (WalletState.NEVER_READ, ("options",))


def part(*entries: UncoveredEntry) -> Uncovered:
    """Return the part of the control total that is in no wallet."""
    return Uncovered("wallets", "Wallets that we do not read", datetime.now(UTC), entries)


async def test_the_control_total_names_a_wallet_that_is_left_out_once(pool: Pool, binance: Account) -> None:
    """An entry with the name of a wallet is the wallet's, and is dropped if a total contains it."""
    entries = (
        UncoveredEntry("USD-M futures", Reason.REFUSED_RIGHT, Decimal("250.5")),
        UncoveredEntry("coinm_futures", Reason.REFUSED_RIGHT),
        UncoveredEntry("Spot", Reason.NOT_READ, Decimal(100)),
        UncoveredEntry("Trading Bots\u200b", Reason.NOT_READ, Decimal(7)),
    )

    await synced(pool, binance, omitted(FUTURES, Code.REFUSED_RIGHT, "1"), parts=(part(*entries),))

    said = await beside(pool, binance)
    assert {name: (each.wallet, each.code, each.worth) for name, each in said.items()} == {
        "USD-M futures": (FUTURES, Reason.REFUSED_RIGHT, Decimal("250.5")),
        "COIN-M futures": ("coinm_futures", Reason.REFUSED_RIGHT, None),
        "Trading Bots": (None, Reason.NOT_READ, Decimal(7)),
    }


@pytest.mark.parametrize(
    ("code", "worth", "told"),
    [
        (Code.REFUSED_RIGHT, "0", (Reason.REFUSED_RIGHT, None)),
        (Code.NOT_ENABLED, "0.01", None),
        (Code.NOT_ENABLED, "5", (Reason.NOT_READ, Decimal(5))),
        (Code.HELD_ELSEWHERE, "5", None),
    ],
)
async def test_a_worth_of_zero_is_unknown_and_a_wallet_without_contents_is_not_named(
    pool: Pool, binance: Account, code: Code, worth: str, told: tuple[str, Decimal | None] | None
) -> None:
    """Binance does not document whether its total has the futures of a key that may not read them."""
    await synced(pool, binance, omitted(FUTURES, code, worth))

    said = (await beside(pool, binance)).get("USD-M futures")
    assert (None if said is None else (said.code, said.worth)) == told


async def test_a_total_that_disagrees_makes_the_sync_partial(pool: Pool, binance: Account) -> None:
    """The numbers are shown; a wallet that is left out changes nothing of it."""
    spot = msgspec.structs.replace(
        read("spot", COIN),
        total_check=TotalCheck.DISAGREES,
        totals=Totals(listed=Decimal(100), gross=Decimal(100), valued=Decimal(80)),
    )

    sync = await synced(pool, binance, spot)

    wallets, holdings, _ = await shown(pool, binance)
    assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.TOTAL_DISAGREES)
    assert (wallets["spot"].state, wallets["spot"].total_check) == (WalletState.FRESH, TotalCheck.DISAGREES)
    assert (holdings.complete, holdings.missing_wallets) == (False, ())


async def test_positions_of_a_wallet_that_is_left_out_are_not_fresh(pool: Pool, binance: Account) -> None:
    """Positions that were never read are not covered; earlier ones are stale."""
    read_before = msgspec.structs.replace(
        read("coinm_futures"), positions=(), positions_as_of=datetime.now(UTC)
    )
    await synced(pool, binance, read_before)
    await synced(pool, binance)

    found, stored, wallets = await find_positions(pool, binance.user_id, binance.id)
    views = positions_view(found.id, BINANCE, stored, wallets).wallets
    assert [(each.wallet, each.state, each.error_code) for each in views] == [
        (FUTURES, WalletState.NOT_COVERED, Code.REFUSED_RIGHT),
        ("coinm_futures", WalletState.STALE, Code.REFUSED_RIGHT),
    ]


async def test_the_reasons_are_stored_as_every_gateway_reads_them(pool: Pool, binance: Account) -> None:
    """A verdict that is not covered has no time, because a time would make it `not_due`."""
    sync = await synced(pool, binance)

    async with pool.transaction() as connection:
        found = await syncs.find(connection, sync.id)

    assert found is not None
    assert found.wallets == sync.wallets
    assert {each.as_of for each in sync.wallets if each.verdict is Verdict.NOT_COVERED} == {None}
