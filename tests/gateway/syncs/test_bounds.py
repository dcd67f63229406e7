"""Users see no name, number, time or text of an outcome beyond its bounds."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from contracts.credentials import Refused
from contracts.exchanges.okx import OKX
from contracts.faults import FAULTS, Code
from contracts.syncs import SyncCompleted, SyncFailed, SyncOutcome, Totals, UnreadableRow, Verdict, WalletRead
from contracts.values import Balance
from contracts.wire.envelope import Malformed, decode, encode
from gateway.accounts.look import find_held
from gateway.http.sync_views import sync_view
from gateway.http.views import balances_view
from gateway.portfolio.holdings import WalletState
from gateway.portfolio.verdicts import ending, wallet_reads
from gateway.rows.accounts import Account
from gateway.rows.pauses import Stand
from gateway.rows.syncs import Sync
from gateway.store.pool import Pool
from gateway.syncs.record import record
from gateway.wording import in_own_words
from tests.gateway.conftest import opened
from tests.gateway.http.test_views import ACCOUNT

LURE = '<script src="https://evil.example"></script> or sign in at https://evil.example'
LONG = Decimal("1" * 21 + "." + "1" * 20)
AS_OF = ACCOUNT.created_at


def told(**changed: Any) -> WalletRead:
    """Return a wallet that was read except for one row."""
    good = WalletRead(
        "trading", Verdict.INCOMPLETE, AS_OF, (Balance("BTC", Decimal(1)),), error_code="unreadable_rows"
    )
    return msgspec.structs.replace(good, **changed)


def outcome_of(*reads: WalletRead) -> SyncOutcome:
    """Return an outcome after sending it over the bus."""
    received: SyncOutcome = decode(
        encode(SyncCompleted(uuid4(), uuid4(), "okx", "partial", reads)), SyncOutcome
    )
    return received


@pytest.mark.parametrize(
    "name", ["", "B C", "<b>", "a/b", "x" * 33, "币安人生", "BTC\n", "B\u202eC", "http://x"]
)
@pytest.mark.parametrize("place", ["balance", "row"])
def test_a_name_that_the_exchange_can_not_use_is_malformed(name: str, place: str) -> None:
    """The name of an asset, and of one with an unreadable row."""
    changed: Any = {"balances": (Balance(name, Decimal(1)),)}
    if place == "row":
        changed = {"unreadable": (UnreadableRow("eq is missing", name),), "unreadable_count": 1}

    with pytest.raises(Malformed):
        wallet_reads(outcome_of(told(**changed)))


@pytest.mark.parametrize("name", ["BTC", "1INCH", "USDT-SWAP", "x" * 32, "B.B_c"])
def test_a_name_that_the_exchange_can_use_is_kept(name: str) -> None:
    """Letters, digits, dots, dashes and underscores, up to 32."""
    (read, *_) = wallet_reads(outcome_of(told(balances=(Balance(name, Decimal(1)),))))

    assert read.balances == (Balance(name, Decimal(1)),)


def test_an_exchange_s_entry_may_allow_other_names() -> None:
    """The catalogue has the pattern, so that an exchange with other names can be added."""
    moon = msgspec.structs.replace(OKX, asset_names=r"\w{1,8}")

    assert (OKX.names_asset("币安人生"), moon.names_asset("币安人生")) == (False, True)


@pytest.mark.parametrize(
    "changed",
    [
        *(
            {"balances": (Balance("BTC", **({"total": Decimal(1)} | {field: LONG})),)}
            for field in ("total", "available", "locked", "borrowed")
        ),
        *(
            {"totals": msgspec.structs.replace(Totals(), **{field: LONG})}
            for field in ("listed", "gross", "stated", "valued")
        ),
        {"unreadable": (UnreadableRow("eq is missing", "BTC", LONG),), "unreadable_count": 1},
        {"difference_usd": LONG},
        {"difference_usd": Decimal("1e999999")},
        {"difference_usd": Decimal("NaN")},
        {"unreadable_count": -1},
        {"unreadable_count": 10**30},
        {"as_of": "0001-01-01T00:00:00+14:00"},
        {"reported_at": "9999-12-31T23:59:59-14:00"},
    ],
    ids=str,
)
def test_a_number_or_a_time_that_can_not_be_one_is_malformed(changed: dict[str, Any]) -> None:
    """More than forty digits in any field, and values that no clock and no count can have."""
    with pytest.raises(Malformed):
        wallet_reads(outcome_of(told(**changed)))


@pytest.mark.parametrize("code", [*Code, "moon_in_the_way"])
@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.NOT_PERMITTED, Verdict.INCOMPLETE])
def test_no_text_of_an_outcome_is_shown(code: str, verdict: Verdict) -> None:
    """Whatever a stolen worker writes as words and reasons, users read ours."""
    rows = (UnreadableRow(LURE[:200], "BTC"), UnreadableRow("eq is missing", "ETH"))
    read = told(
        verdict=verdict, error_code=code, error=LURE, unreadable=rows, unreadable_count=2, exchange_code="-1"
    )
    failed = SyncFailed(uuid4(), uuid4(), "okx", code, LURE)

    for said in (outcome_of(read), failed):
        end = ending(said, wallet_reads(said))
        assert "evil" not in repr(end)
        assert end.error


def test_the_rows_that_could_not_be_read_are_told_in_words_of_the_table() -> None:
    """A known reason stays, and an unknown one, perhaps of a later version, becomes a general one."""
    rows = (UnreadableRow("eq is missing", "ETH"), UnreadableRow("the moon is in the way", "SOL"))
    said = outcome_of(told(unreadable=rows, unreadable_count=2, difference_usd=Decimal("-1.5")))

    (wallet, *_) = ending(said, wallet_reads(said)).wallets

    assert wallet.unreadable == ("ETH: eq is missing", "SOL: the row can not be read")
    assert wallet.error == (
        "2 of 3 rows could not be read: eq is missing; the row can not be read. "
        "The list is worth 1.50 USD more than the total that came with it."
    )


def test_sentences_that_are_known_are_kept() -> None:
    """Words of a worker that the table has stay; the code has its own field."""
    error = f"{LURE} The answer is an HTTP 503 that does not come from the API. {LURE} (OKX 50001)"
    read = WalletRead("trading", Verdict.FAILED, error_code=Code.EXCHANGE_UNAVAILABLE, error=error)
    said = outcome_of(msgspec.structs.replace(read, exchange_code="50001"))

    (wallet, *_) = ending(said, wallet_reads(said)).wallets

    words = FAULTS[Code.EXCHANGE_UNAVAILABLE].words
    assert wallet.error == f"{words} The answer is an HTTP 503 that does not come from the API. (OKX 50001)"


def test_a_refusal_is_told_in_words_of_the_table() -> None:
    """Neither a compromised worker nor a compromised broker puts its own text or time into a problem."""
    refused = Refused(Code.KEY_REJECTED, f"{LURE} The list is empty.", 1e308, "50111")

    shown = in_own_words(refused, "okx")

    assert (shown.detail, shown.retry_after) == ("The list is empty. (OKX 50111)", 3600.0)


async def recorded(pool: Pool, sync: Sync, as_of: datetime, reported_at: datetime | None = None) -> Sync:
    """Record a sync whose wallets were read at a time."""
    funding = WalletRead("funding", Verdict.COMPLETE, sync.requested_at, (Balance("BTC", Decimal(2)),))
    trading = WalletRead("trading", Verdict.COMPLETE, as_of, (Balance("BTC", Decimal(1)),))
    trading = msgspec.structs.replace(trading, reported_at=reported_at)
    said = SyncCompleted(sync.id, sync.account_id, "okx", "completed", (trading, funding))
    async with pool.transaction() as connection:
        ended = await record(connection, said)
    assert ended is not None
    return ended


@pytest.mark.parametrize("seconds", [-50, 0, 50])
async def test_a_time_within_a_minute_of_the_sync_s_life_counts(
    pool: Pool, account: Account, seconds: int
) -> None:
    """Clocks differ; the exchange may have computed the numbers long before."""
    sync = await opened(pool, account)
    as_of = sync.requested_at + timedelta(seconds=seconds)

    assert (await recorded(pool, sync, as_of, as_of - timedelta(days=400))).status == "completed"


@pytest.mark.parametrize("days", [0, 3])
@pytest.mark.parametrize(
    "off",
    [timedelta(seconds=-75), timedelta(seconds=75), timedelta(days=-300), timedelta(days=9000)],
    ids=str,
)
async def test_a_time_outside_of_the_sync_s_life_ends_it_as_clock_disagrees(
    pool: Pool, account: Account, off: timedelta, days: int
) -> None:
    """Its wallets failed, the stored balances become stale, and there is no dead letter. Also days later."""
    await recorded(pool, first := await opened(pool, account), first.requested_at)
    sync = await opened(pool, account)
    async with pool.transaction() as connection:
        await connection.execute(
            "update syncs set requested_at = requested_at - make_interval(days => %s)", [days]
        )
    as_of = sync.requested_at - timedelta(days=days if off < timedelta(0) else 0) + off

    ended = await recorded(pool, sync, as_of)

    assert (ended.status, ended.error_code) == ("failed", Code.CLOCK_DISAGREES)
    assert {each.error_code for each in ended.wallets} == {Code.CLOCK_DISAGREES}
    assert sync_view(ended, (), Stand()).error == FAULTS[Code.CLOCK_DISAGREES].words
    held = await find_held(pool, account.user_id, account.id)
    trading, funding, _ = balances_view(held).wallets
    assert {trading.state, funding.state} == {WalletState.STALE}
    assert [each.total for each in trading.balances or ()] == ["1"]


@pytest.mark.parametrize("reported", [timedelta(seconds=75), timedelta(days=-365 * 30)], ids=str)
async def test_a_report_of_the_future_or_before_all_exchanges_is_no_report(
    pool: Pool, account: Account, reported: timedelta
) -> None:
    """The exchange computed the numbers at some time in the past."""
    sync = await opened(pool, account)

    ended = await recorded(pool, sync, sync.requested_at, sync.requested_at + reported)

    assert (ended.status, ended.error_code) == ("failed", Code.CLOCK_DISAGREES)


async def test_numbers_that_were_stored_before_are_shown(pool: Pool, account: Account) -> None:
    """A gateway of the previous version has stored eighty digits and names with other letters."""
    sync = await opened(pool, account)
    await recorded(pool, sync, sync.requested_at)
    long = Decimal("9" * 40 + "." + "9" * 40)
    async with pool.transaction() as connection:
        await connection.execute("update balances set total = %s, asset = '币'", [long])

    held = await find_held(pool, account.user_id, account.id)

    assert {(each.asset, each.total) for each in held.balances} == {("币", long)}
