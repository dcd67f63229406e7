"""An outcome is recorded once, and makes no number look newer, smaller or more complete than it is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from contracts.faults import FAULTS, Code
from contracts.remedies import Situation
from contracts.syncs import (
    Status,
    SyncFailed,
    TotalCheck,
    Totals,
    UnreadableRow,
    Verdict,
    WalletRead,
)
from contracts.values import Balance
from contracts.wire.envelope import Malformed
from deploy.local.postgres import SUPERUSER, Postgres
from gateway.accounts.look import find_held
from gateway.http.account_views import account_view
from gateway.http.sync_views import sync_view
from gateway.portfolio.holdings import WalletState
from gateway.rows.accounts import Account
from gateway.rows.balances import Place
from gateway.rows.pauses import Stand
from gateway.rows.syncs import Queued
from gateway.store import recording, syncs
from gateway.store.pool import Pool
from gateway.syncs.keep import keep
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import failed, outcome, recorded, shown, shown_wallet, totals

# Set before each test.
BEFORE = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _moment_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test read wallets at its beginning, within the life of its syncs, give or take a second."""
    monkeypatch.setitem(globals(), "BEFORE", datetime.now(UTC))


def read(wallet: str, total: str, as_of: datetime | None = None) -> WalletRead:
    """Return a read wallet with one asset."""
    return WalletRead(wallet, Verdict.COMPLETE, as_of or BEFORE, (Balance("BTC", Decimal(total)),))


async def test_the_first_outcome_stays(pool: Pool, account: Account) -> None:
    """A second outcome of the same sync, of any kind, changes no row."""
    sync = await opened(pool, account)
    assert await recorded(pool, outcome(sync, read("trading", "1"), read("funding", "2"))) is not None

    assert await recorded(pool, outcome(sync, failed("trading"), failed("funding"))) is None
    assert await recorded(pool, outcome(sync, read("trading", "9"), read("funding", "9"))) is None

    assert totals((await shown(pool, account))[1]) == {"BTC": "3"}


async def test_a_failed_wallet_keeps_its_last_good_set_as_stale(pool: Pool, account: Account) -> None:
    """An unread asset is neither zero nor gone, and the sums are marked as incomplete."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))

    await recorded(pool, outcome(await opened(pool, account), read("trading", "5"), failed("funding")))

    _, view = await shown(pool, account)
    assert totals(view) == {"BTC": "7"}
    assert (view.complete, view.stale_wallets, view.missing_wallets) == (False, ("funding",), ())


async def test_a_wallet_never_read_is_missing(pool: Pool, account: Account) -> None:
    """A partial first sync shows the read wallets and names the missing ones."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), failed("funding")))

    _, view = await shown(pool, account)
    assert totals(view) == {"BTC": "1"}
    assert (view.complete, view.missing_wallets) == (False, ("funding",))


async def test_an_asset_that_the_total_confirms_as_gone_is_gone(pool: Pool, account: Account) -> None:
    """A list that fits the exchange's own total replaces the whole wallet: missing assets were spent."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))
    empty = WalletRead("trading", Verdict.COMPLETE, BEFORE, (), totals=Totals(Decimal(0), valued=Decimal(0)))

    await recorded(pool, outcome(await opened(pool, account), empty, read("funding", "2")))

    assert totals((await shown(pool, account))[1]) == {"BTC": "2"}


async def test_a_loss_that_nothing_confirms_keeps_the_old_set(pool: Pool, account: Account) -> None:
    """The old list stays and is stale, the new one stands beside it, and the sync is partial."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))
    short = WalletRead("trading", Verdict.COMPLETE, BEFORE, (Balance("ETH", Decimal(5)),))

    sync = await recorded(pool, outcome(await opened(pool, account), short, read("funding", "2")))

    assert sync is not None
    told = sync.wallets[0]
    assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.UNCONFIRMED_LOSS)
    assert (told.verdict, told.error_code) == (Verdict.INCOMPLETE, Code.UNCONFIRMED_LOSS)
    found, view = await shown(pool, account)
    assert (totals(view), view.complete, view.stale_wallets) == ({"BTC": "3"}, False, ("trading",))
    assert found.last_error_code == Code.UNCONFIRMED_LOSS
    wallet = await shown_wallet(pool, account)
    assert wallet.unconfirmed is not None
    assert wallet.unconfirmed.missing == ("BTC",)
    assert [each.asset for each in wallet.unconfirmed.balances] == ["ETH"]


async def test_a_loss_that_is_seen_again_later_is_accepted(pool: Pool, account: Account) -> None:
    """A failed read in between does not matter."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))
    short = WalletRead("trading", Verdict.COMPLETE, BEFORE, (Balance("ETH", Decimal(5)),))
    whole = read("funding", "2")
    await recorded(pool, outcome(await opened(pool, account), short, whole))
    await recorded(pool, outcome(await opened(pool, account), failed("trading"), whole))

    sync = await recorded(pool, outcome(await opened(pool, account), short, whole), timedelta(0))

    assert sync is not None
    assert sync.status is Status.COMPLETED
    assert totals((await shown(pool, account))[1]) == {"BTC": "2", "ETH": "5"}
    assert (await shown_wallet(pool, account)).unconfirmed is None


async def test_after_an_hour_a_list_is_shown_with_what_is_newly_missing(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """An asset that vanishes then is not believed gone: it keeps its amount, and no wallet is fresh."""
    funding = read("funding", "2")
    whole = WalletRead(
        "trading", Verdict.COMPLETE, BEFORE, tuple(Balance(name, Decimal(1)) for name in ("BTC", "ETH", "X"))
    )
    await recorded(pool, outcome(await opened(pool, account), whole, funding))
    held = msgspec.structs.replace(whole, balances=(Balance("BTC", Decimal(1)), Balance("ETH", Decimal(1))))
    await recorded(pool, outcome(await opened(pool, account), held, funding))
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute(
            """update account_wallets set detail = jsonb_set(detail, '{missing,since}',
                   to_jsonb(now() - interval '2 hours')) where wallet = 'trading'"""
        )

    short = msgspec.structs.replace(whole, balances=(Balance("ETH", Decimal(7)), Balance("X", Decimal(1))))
    sync = await recorded(pool, outcome(await opened(pool, account), short, funding))

    assert sync is not None
    assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.UNCONFIRMED_LOSS)
    wallet = await shown_wallet(pool, account)
    assert (wallet.state, wallet.unconfirmed) == (WalletState.INCOMPLETE, None)
    amounts = {each.asset: (each.total, each.stale_as_of) for each in wallet.balances or ()}
    assert amounts == {"BTC": ("1", BEFORE), "ETH": ("7", None), "X": ("1", None)}


async def test_an_amount_that_became_smaller_is_accepted(pool: Pool, account: Account) -> None:
    """A row that is present, even with an amount of zero, is not a loss."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))

    await recorded(pool, outcome(await opened(pool, account), read("trading", "0"), read("funding", "1")))

    assert totals((await shown(pool, account))[1]) == {"BTC": "1"}


async def test_an_asset_whose_row_could_not_be_read_keeps_its_amount(pool: Pool, account: Account) -> None:
    """It is marked as stale, the wallet is incomplete with a reason, and the next whole list repairs both."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))
    later = BEFORE + timedelta(milliseconds=1)
    said = WalletRead(
        "trading",
        Verdict.INCOMPLETE,
        later,
        (Balance("ETH", Decimal(5)),),
        TotalCheck.AGREES,
        Code.UNREADABLE_ROWS,
        "1 of 2 rows could not be read.",
        unreadable=(UnreadableRow("eq is missing", asset="BTC"),),
        unreadable_count=1,
        difference_usd=Decimal("12.50"),
        reported_at=BEFORE - timedelta(days=3),
    )

    sync = await recorded(pool, outcome(await opened(pool, account), said, read("funding", "2")))

    assert sync is not None
    assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.UNREADABLE_ROWS)
    _, view = await shown(pool, account)
    assert (totals(view), view.complete) == ({"BTC": "3", "ETH": "5"}, False)
    assert (view.incomplete_wallets, view.stale_wallets, view.as_of) == (("trading",), (), BEFORE)
    assert view.total_checks == {"trading": TotalCheck.AGREES, "funding": None, "earn": None}
    wallet = await shown_wallet(pool, account)
    assert (wallet.state, wallet.unreadable_rows) == (WalletState.INCOMPLETE, 1)
    assert (wallet.unreadable, wallet.difference_usd) == (("BTC: eq is missing",), "12.50")
    assert wallet.reported_at == BEFORE - timedelta(days=3)
    assert {each.asset: each.stale_as_of for each in wallet.balances or ()} == {"BTC": BEFORE, "ETH": None}

    whole = WalletRead(
        "trading", Verdict.COMPLETE, later, (Balance("BTC", Decimal(1)), Balance("ETH", Decimal(5)))
    )
    await recorded(pool, outcome(await opened(pool, account), whole, read("funding", "2")))
    wallet = await shown_wallet(pool, account)
    assert (wallet.state, wallet.unreadable_rows, wallet.error_code) == (WalletState.FRESH, 0, None)
    assert [each.stale_as_of for each in wallet.balances or ()] == [None, None]


async def test_a_first_list_that_is_incomplete_is_shown(pool: Pool, account: Account) -> None:
    """An unreadable row does not keep the wallet from ever being shown."""
    said = WalletRead(
        "trading",
        Verdict.INCOMPLETE,
        BEFORE,
        (Balance("BTC", Decimal(1)),),
        unreadable=(UnreadableRow("the currency has no name"),),
        unreadable_count=1,
    )

    await recorded(pool, outcome(await opened(pool, account), said, read("funding", "2")))

    _, view = await shown(pool, account)
    assert (totals(view), view.incomplete_wallets) == ({"BTC": "3"}, ("trading",))


async def test_numbers_that_the_valuation_contradicts_are_shown_as_disagreeing(
    pool: Pool, account: Account
) -> None:
    """They are the newest numbers, but the holdings are not called complete."""
    said = WalletRead("trading", Verdict.COMPLETE, BEFORE, (), TotalCheck.DISAGREES)

    sync = await recorded(pool, outcome(await opened(pool, account), said, read("funding", "2")))

    found, view = await shown(pool, account)
    assert sync is not None
    assert (sync.status, sync.error_code) == (Status.PARTIAL, Code.TOTAL_DISAGREES)
    assert (view.complete, view.total_checks["trading"]) == (False, TotalCheck.DISAGREES)
    assert (await shown_wallet(pool, account)).state is WalletState.FRESH
    assert found.last_synced_at is None


async def test_what_a_gateway_of_the_version_before_writes_counts(
    pool: Pool, account: Account, database: Postgres
) -> None:
    """It increments the wallet's number and leaves the detail, which then belongs to another list."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))
    short = WalletRead("trading", Verdict.COMPLETE, BEFORE, ())
    await recorded(pool, outcome(await opened(pool, account), short, read("funding", "2")))
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute(
            """update account_wallets set sync_number = sync_number + 1, error_code = null, error = null"""
        )

    wallet = await shown_wallet(pool, account)

    assert (wallet.state, wallet.unconfirmed, wallet.unreadable_rows) == (WalletState.FRESH, None, 0)


async def test_an_older_set_never_replaces_a_newer_one(pool: Pool, account: Account) -> None:
    """Data of a later sync stay, whatever the clocks of the workers say."""
    older = await opened(pool, account)
    await recorded(pool, outcome(older, failed("trading"), failed("funding")))
    newer = await opened(pool, account)
    await recorded(pool, outcome(newer, read("trading", "1"), read("funding", "1")))
    late = read("trading", "9", as_of=BEFORE + timedelta(days=1))

    queued = Queued(
        older.id,
        older.number,
        account.user_id,
        account.id,
        "okx",
        requested_at=BEFORE,
        deadline=BEFORE,
        publications=1,
        now=BEFORE,
        deleted=False,
    )
    async with pool.transaction() as connection:
        known = await recording.find_known(connection, [account.id])
        stored = recording.stored(known.values())
        for said in (late, failed("funding")):
            kept = keep(stored, [(queued, (said,))], timedelta(minutes=5))
            assert (kept.wallets, kept.lists) == ({}, {})
        place = Place(account.id, "trading")
        stale = msgspec.structs.replace(stored.wallets[place], sync_number=older.number, error_code="old")
        await recording.write(connection, [], {place: stale})

    _, view = await shown(pool, account)
    assert (totals(view), view.complete) == ({"BTC": "2"}, True)


async def test_the_time_of_the_last_sync_is_honest(pool: Pool, account: Account) -> None:
    """It is the oldest wallet of a completed sync, never goes back, and is never in the future."""
    old, new, future = (BEFORE + timedelta(seconds=each) for each in (-40, -20, 50))
    expected = [(new, old, old), (old, old, old), (new, new, new), (old, old, new)]
    for trading, funding, synced in expected:
        said = outcome(
            await opened(pool, account), read("trading", "1", trading), read("funding", "1", funding)
        )
        await recorded(pool, said)
        assert (await shown(pool, account))[0].last_synced_at == synced

    said = outcome(await opened(pool, account), read("trading", "1", future), read("funding", "1", future))
    await recorded(pool, said)
    found, _ = await shown(pool, account)
    held = await find_held(pool, account.user_id, account.id)
    times = [found.last_synced_at, *(each.as_of for each in held.wallets)]
    assert all((time or future) < future for time in times)


@pytest.mark.parametrize("partial", [True, False])
async def test_only_a_completed_sync_moves_the_time(pool: Pool, account: Account, *, partial: bool) -> None:
    """A partial or failed sync is an attempt with an error, not a sync."""
    trading = read("trading", "1") if partial else failed("trading")
    await recorded(pool, outcome(await opened(pool, account), trading, failed("funding")))

    found, _ = await shown(pool, account)
    assert (found.last_synced_at, found.last_error_code) == (None, Code.EXCHANGE_TIMEOUT)
    assert found.last_attempt_at is not None


async def test_an_outcome_for_another_account_is_refused_whole(pool: Pool, account: Account) -> None:
    """An outcome whose account is not that of its sync changes neither."""
    sync = await opened(pool, account)
    said = outcome(sync, read("trading", "1"), read("funding", "1"))
    stranger = SyncFailed(sync.id, sync.user_id, "okx", Code.KEY_UNKNOWN, "")

    with pytest.raises(Malformed):
        await recorded(pool, stranger)
    assert await recorded(pool, said) is not None


async def test_every_digit_survives_the_database(pool: Pool, account: Account) -> None:
    """Forty digits, before or after the point, and trailing zeros, are read back unchanged."""
    for exact in ("9" * 40, "9" * 20 + "." + "0" * 18 + "10", "0." + "0" * 39 + "1"):
        await recorded(pool, outcome(await opened(pool, account), read("trading", exact), failed("funding")))

        assert totals((await shown(pool, account))[1]) == {"BTC": exact}


async def test_a_wallet_that_the_outcome_lacks_keeps_its_state(pool: Pool, account: Account) -> None:
    """A worker of another version may not read a wallet: its stored state does not change."""
    await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2")))

    sync = await recorded(pool, outcome(await opened(pool, account), read("trading", "5")))

    found, view = await shown(pool, account)
    assert sync is not None
    assert (sync.status, totals(view), view.complete) == (Status.COMPLETED, {"BTC": "7"}, True)
    assert found.last_synced_at == BEFORE


async def test_a_fault_code_of_a_later_version_is_stored_and_shown(pool: Pool, account: Account) -> None:
    """The code stays as text everywhere, with the remedy of an internal fault."""
    said = WalletRead("funding", Verdict.FAILED, error_code="moon_in_the_way", error="The moon.")
    sync = await recorded(pool, outcome(await opened(pool, account), read("trading", "1"), said))
    assert sync is not None

    found, view = await shown(pool, account)

    assert (sync.error_code, found.last_error_code) == ("moon_in_the_way", "moon_in_the_way")
    assert (view.stale_wallets, view.missing_wallets) == ((), ("funding",))
    assert sync_view(sync, (), Stand()).wallets[1].error_code == "moon_in_the_way"
    assert account_view(found, ()).next_action == FAULTS[Code.INTERNAL_ERROR].next_action(Situation.SYNC)


async def test_rows_of_a_later_version_are_read(pool: Pool, account: Account, database: Postgres) -> None:
    """A gateway of a later version beside this one writes words that this one does not know."""
    sync = await recorded(
        pool, outcome(await opened(pool, account), read("trading", "1"), read("funding", "2"))
    )
    assert sync is not None
    async with await database.connect(SUPERUSER) as connection:
        await connection.execute(
            """update syncs set status = 'partial', error_code = 'new', wallets = '[{"wallet": "trading",
               "verdict": "new", "total_check": "new", "error_code": "new", "later": 1}]'"""
        )
        await connection.execute("update account_wallets set total_check = 'new', error_code = 'new'")
        await connection.execute("update accounts set last_error_code = 'new'")

    found, view = await shown(pool, account)
    async with pool.transaction() as connection:
        row = await syncs.find_sync(connection, account.user_id, sync.id)

    assert row is not None
    assert (row.wallets[0].verdict, row.wallets[0].total_check) == (Verdict.FAILED, TotalCheck.UNCHECKED)
    assert (found.last_error_code, view.stale_wallets) == ("new", ("trading", "funding", "earn"))
