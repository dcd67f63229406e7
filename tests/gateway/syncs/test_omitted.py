"""A wallet that a sync leaves out with a reason is not covered: not missing, not empty, and named beside."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from contracts.exchanges.binance import BINANCE
from contracts.faults import Code, fault_of
from contracts.syncs import (
    LEFT_OUT_CODES,
    Status,
    SyncCompleted,
    SyncFailed,
    SyncRequested,
    TotalCheck,
    Totals,
    Verdict,
    WalletRead,
    status_of,
)
from contracts.uncovered import Reason, Uncovered, UncoveredEntry
from contracts.values import Balance
from contracts.wire.envelope import decode
from contracts.wire.grants import Grant, sync_purpose
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from gateway.accounts.look import find_held, find_not_covered, find_positions
from gateway.accounts.pause import pause_found, resume
from gateway.accounts.rights import Finding
from gateway.accounts.worth import find_portfolio
from gateway.http.holdings_views import HoldingsView, holdings_view
from gateway.http.position_views import positions_view
from gateway.http.views import WalletView, balances_view
from gateway.http.worth_views import PortfolioView, portfolio_view
from gateway.portfolio.holdings import WalletState
from gateway.portfolio.uncovered import NotCovered
from gateway.prices.readings import Readings
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store import accounts, credentials, schedules, syncs, users
from gateway.store.pool import Pool
from gateway.syncs.open import Terms, open_due, open_one
from gateway.syncs.record import Together, record
from tests.gateway.conftest import opened
from tests.gateway.http.test_views import ACCOUNT
from tests.gateway.syncs.recorded import recorded
from tests.gateway.syncs.test_requests import asking, requests
from tests.system.test_sweeper import run

pytestmark = pytest.mark.usefixtures("unpublished")
TERMS = Terms(Ed25519PrivateKey.generate(), 120)
FUTURES, MARGIN, PORTFOLIO_MARGIN = "usdm_futures", "margin", "portfolio_margin"
COIN = Balance("USDT", Decimal(100))
# What a worker says of a usual account: it trades at spot alone.
USUAL = dict.fromkeys(("spot", "funding", "earn"), Verdict.COMPLETE)
REASONS = {
    "margin": Code.NOT_ENABLED,
    "isolated_margin": Code.NOT_ENABLED,
    FUTURES: Code.REFUSED_RIGHT,
    "coinm_futures": Code.REFUSED_RIGHT,
    "options": Code.NOT_ENABLED,
    PORTFOLIO_MARGIN: Code.NOT_ENABLED,
}


@pytest_asyncio.fixture(name="binance")
async def _binance(pool: Pool) -> Account:
    """Return a connected account at Binance."""
    account = msgspec.structs.replace(
        ACCOUNT, exchange="binance", permissions=("enableReading",), last_synced_at=None, last_error_code=None
    )
    assert account.credential_id is not None
    async with pool.transaction() as connection:
        await users.insert_user(connection, account.user_id, "me@example.com", "hash")
        await credentials.insert_pending(connection, account.credential_id, account.user_id, "binance")
        await accounts.insert_account(connection, account)
        await credentials.set_live(connection, account.credential_id)
    return account


def read(wallet: str, *balances: Balance) -> WalletRead:
    """Return a wallet that was read now."""
    return WalletRead(wallet, Verdict.COMPLETE, datetime.now(UTC), balances)


def omitted(wallet: str, code: str, worth: str | None = None, exchange_code: str | None = None) -> WalletRead:
    """Return a wallet that was left out, with the exchange's valuation."""
    totals = None if worth is None else Totals(valued=Decimal(worth))
    return WalletRead(
        wallet, Verdict.NOT_COVERED, error_code=code, error="said", totals=totals, exchange_code=exchange_code
    )


def failed(wallet: str) -> WalletRead:
    """Return a wallet that could not be read."""
    return WalletRead(wallet, Verdict.FAILED, error_code=Code.EXCHANGE_TIMEOUT, error="late")


def usual(*reads: WalletRead) -> tuple[WalletRead, ...]:
    """Return the reads of an account that trades at spot alone, but for these."""
    said = {each: read(each, COIN) if each == "spot" else read(each) for each in USUAL}
    said |= {each: omitted(each, code) for each, code in REASONS.items()}
    return tuple((said | {each.wallet: each for each in reads}).values())


async def synced(pool: Pool, account: Account, *reads: WalletRead, parts: tuple[Uncovered, ...] = ()) -> Sync:
    """Record a sync of the usual wallets, but for these."""
    sync, wallets = await opened(pool, account), usual(*reads)
    status = status_of(wallets)
    said: SyncCompleted | SyncFailed
    if status is Status.FAILED:
        code = next((each.error_code for each in wallets if each.error_code), Code.EXCHANGE_TIMEOUT)
        said = SyncFailed(sync.id, account.id, "binance", code, "late", wallets)
    else:
        said = SyncCompleted(sync.id, account.id, "binance", status, wallets, uncovered=parts)
    ended = await recorded(pool, said)
    assert ended is not None
    return ended


async def shown(pool: Pool, account: Account) -> tuple[dict[str, WalletView], HoldingsView, PortfolioView]:
    """Return the account's wallets, holdings and portfolio as the API shows them."""
    held = await find_held(pool, account.user_id, account.id)
    portfolio = portfolio_view(await find_portfolio(pool, Readings(pool), account.user_id, None))
    return {each.wallet: each for each in balances_view(held).wallets}, holdings_view(held), portfolio


async def beside(pool: Pool, account: Account) -> dict[str, NotCovered]:
    """Return what is named beside the account's totals."""
    return {each.name: each for each in (await find_not_covered(pool, [account])).get(account.id, ())}


async def refused(database: Postgres) -> tuple[str, ...]:
    """Return the wallets that the request of the open sync says were refused."""
    ((body,),) = await run(
        database, "select body from outbox where sync_id = (select id from syncs where status = 'queued')"
    )
    request: SyncRequested = decode(bytes(body), SyncRequested)
    return request.lately_refused


async def aged(database: Postgres, hours: float) -> None:
    """Let the exchange have refused wallets so many hours ago."""
    await run(
        database,
        """update account_wallets set detail = jsonb_set(detail, '{omitted,refused_at}',
               to_jsonb(now() - make_interval(secs => %s)))
           where detail -> 'omitted' ->> 'refused_at' is not null""",
        hours * 3600,
    )


async def test_a_wallet_with_a_reason_makes_no_sync_partial_and_is_not_missing(
    pool: Pool, binance: Account
) -> None:
    """Each view has its code, words and step; totals are whole, and what has contents is named beside."""
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
    """The reason of a wallet that is left out is none."""
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
    """A worker of a later release may have another; then the wallet is missing, as before."""
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


async def test_what_another_wallet_holds_now_counts_once(pool: Pool, binance: Account) -> None:
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
    await requests(pool, nats).one(asking(binance.user_id), binance.id)
    assert await refused(database) == (FUTURES, "coinm_futures")


async def test_a_wallet_that_fails_alone_is_missing(pool: Pool, binance: Account) -> None:
    """The user may have enabled it since: its contents are unknown."""
    await synced(pool, binance)

    sync = await synced(pool, binance, failed("options"))

    wallets, holdings, _ = await shown(pool, binance)
    assert sync.status is Status.PARTIAL
    assert (wallets["options"].state, holdings.missing_wallets) == (WalletState.NEVER_READ, ("options",))


def part(*entries: UncoveredEntry) -> Uncovered:
    """Return what the control total has and no wallet."""
    return Uncovered("wallets", "Wallets that we do not read", datetime.now(UTC), entries)


async def test_the_control_total_names_what_is_left_out_once(pool: Pool, binance: Account) -> None:
    """An entry with the name of a wallet is that of the wallet, and none of one that is in the total."""
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
async def test_a_worth_of_zero_is_unknown_and_what_has_no_contents_is_not_named(
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
    """Those that were never read are not covered; those that were read before are stale."""
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


@pytest.mark.parametrize("by", ["a person", "the schedule", "a repeated request"])
async def test_each_way_to_open_a_sync_says_what_was_refused(
    pool: Pool, nats: Nats, binance: Account, database: Postgres, by: str
) -> None:
    """A worker asks for these no more; others that are left out cost no read."""
    await synced(pool, binance)

    match by:
        case "the schedule":
            await run(database, "update schedule set next_at = now() - interval '1 second'")
            async with pool.transaction() as connection:
                due = await schedules.claim(connection, "binance", "butler.sync.scheduled.binance", 5)
                await open_due(connection, TERMS, due)
        case "a repeated request":
            async with pool.transaction() as connection:
                await open_one(connection, TERMS, binance.id, uuid7())
        case _:
            await requests(pool, nats).one(asking(binance.user_id), binance.id)

    assert await refused(database) == (FUTURES, "coinm_futures")


async def test_answers_that_repeat_a_refusal_do_not_move_its_time(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """A day after the exchange refused the wallet, a sync asks for it again, however many came between."""
    await synced(pool, binance)
    await aged(database, 23.9)
    await synced(pool, binance)
    await aged_more(database, 0.2)

    await requests(pool, nats).one(asking(binance.user_id), binance.id)

    assert await refused(database) == ()


async def test_a_new_refusal_counts_for_a_day_again(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """The sync that asked after a day keeps the next ones from asking."""
    await synced(pool, binance)
    await aged(database, 24.1)
    await synced(pool, binance)

    await requests(pool, nats).one(asking(binance.user_id), binance.id)

    assert await refused(database) == (FUTURES, "coinm_futures")


@pytest.mark.parametrize("by", ["a new key", "a verification", "a later time", "another fault"])
async def test_the_exchange_is_asked_again_when_something_may_have_changed(
    pool: Pool, nats: Nats, binance: Account, database: Postgres, by: str
) -> None:
    """A refusal is of one key, and a verified one may have other rights; a clock may have been set back."""
    await synced(pool, binance)

    match by:
        case "a new key":
            async with pool.transaction() as connection:
                key = uuid7()
                await credentials.insert_pending(connection, key, binance.user_id, "binance")
                await accounts.set_credential(connection, binance.id, key)
        case "a verification":
            async with pool.transaction() as connection:
                await pause_found(connection, binance, Finding(Code.UNKNOWN_RIGHT, ("enableMagic",)))
                await resume(connection, binance)
        case "a later time":
            await aged(database, -1)
        case _:
            await synced(pool, binance, failed(FUTURES), failed("coinm_futures"))

    await requests(pool, nats).one(asking(binance.user_id), binance.id)

    assert await refused(database) == ()


async def test_what_an_old_key_was_refused_says_nothing_of_the_new_one(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """The key may be replaced while a sync reads with the old one: its outcome keeps nothing from the new."""
    sync, key, old = await opened(pool, binance), uuid7(), binance.credential_id
    assert old is not None
    async with pool.transaction() as connection:
        await credentials.insert_pending(connection, key, binance.user_id, "binance")
        await accounts.set_credential(connection, binance.id, key)
    wallets = usual()
    said = SyncCompleted(sync.id, binance.id, "binance", status_of(wallets), wallets)
    grant = Grant(old, "binance", sync_purpose(sync.id), datetime.now(UTC) + timedelta(minutes=2))
    async with pool.transaction() as connection:
        assert await record(connection, said, Together(), grant) is not None

    await requests(pool, nats).one(asking(binance.user_id), binance.id)

    assert await refused(database) == ()


async def test_the_first_refusal_of_a_new_key_has_its_own_time(
    pool: Pool, nats: Nats, binance: Account, database: Postgres
) -> None:
    """The time of the old key would let each sync ask, until a day after it."""
    await synced(pool, binance)
    await aged(database, 10)
    async with pool.transaction() as connection:
        key = uuid7()
        await credentials.insert_pending(connection, key, binance.user_id, "binance")
        await accounts.set_credential(connection, binance.id, key)
    await synced(pool, binance)
    await aged_more(database, 20)

    await requests(pool, nats).one(asking(binance.user_id), binance.id)

    assert await refused(database) == (FUTURES, "coinm_futures")


async def aged_more(database: Postgres, hours: float) -> None:
    """Let refusals be so many hours older."""
    await run(
        database,
        """update account_wallets set detail = jsonb_set(detail, '{omitted,refused_at}',
               to_jsonb((detail -> 'omitted' ->> 'refused_at')::timestamptz - make_interval(secs => %s)))
           where detail -> 'omitted' ->> 'refused_at' is not null""",
        hours * 3600,
    )


async def test_the_reasons_are_stored_as_every_gateway_reads_them(pool: Pool, binance: Account) -> None:
    """A verdict that is not covered has no time, which would make it one that was not due."""
    sync = await synced(pool, binance)

    async with pool.transaction() as connection:
        found = await syncs.find(connection, sync.id)

    assert found is not None
    assert found.wallets == sync.wallets
    assert {each.as_of for each in sync.wallets if each.verdict is Verdict.NOT_COVERED} == {None}
