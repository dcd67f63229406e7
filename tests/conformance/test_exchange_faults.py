"""For each fault of the exchange, a wrong number never looks right."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psutil
import pytest
import pytest_asyncio

from contracts.credentials import Refused, Verified
from contracts.exchanges.okx import OKX
from contracts.faults import FAULTS, Code
from contracts.syncs import Status, SyncOutcome, SyncRequested, TotalCheck, Verdict, WalletRead
from deploy.simulator.binance.accounts import Accounts as BinanceAccounts
from deploy.simulator.okx.accounts import Accounts
from sync_worker.exchanges.clock import MIN_AGE
from tests.conformance.binance_table import BINANCE_KEY, BINANCE_ROWS, BINANCE_TOTALS, BINANCE_WALLETS
from tests.conformance.simulated import Admin, holds_no_other, is_true
from tests.conformance.table import (
    CONFIG_ROWS,
    NOT_PERMITTED,
    ROWS,
    VALUATION_ROWS,
    WALLETS,
    Row,
)
from tests.sync_worker.system import Gateway
from tests.waiting import passed, until

MEBIBYTE = 1024 * 1024
# So few that no try has to wait long for this machine, because the number of tries depends on it.
AT_ONCE = 16
# No second try fits.
ONE_TRY = 3.0
ALL_ROWS = ROWS + VALUATION_ROWS
AT_BINANCE = BINANCE_ROWS + BINANCE_TOTALS
STRUCK_ROWS, TOTALS_ROWS = ROWS + BINANCE_ROWS, VALUATION_ROWS + BINANCE_TOTALS
LISTS = {"okx": WALLETS, "binance": BINANCE_WALLETS}
# A worker begins with an eighth of a budget, and one read of a sync at Binance takes 60 of 1,500 a minute.
PACE = 0.5
# Its lists of earn are so heavy that they alone would take the minutes of these tests.
EMPTY = {"binance": ("earn",)}
LARGE = [row for row in ROWS if row.fault["fault"] in {"gzip-bomb", "padded"}]


@dataclass(frozen=True)
class Result:
    """The outcome of a row's sync, the seconds until it came and the number of struck calls."""

    outcome: SyncOutcome
    seconds: float
    struck: int

    def read_of(self, wallet: str) -> WalletRead:
        """Return the outcome's entry for a wallet."""
        return next(read for read in self.outcome.wallets if read.wallet == wallet)


@dataclass(frozen=True)
class Warmed:
    """The credential of each row after one sync without its fault, and the worker's memory in bytes then."""

    ids: list[UUID]
    others: list[UUID]
    memory: int


@pytest_asyncio.fixture(name="warmed", scope="module")
async def _warmed(
    gateway: Gateway,
    admin: Admin,
    accounts: Accounts,
    binance_accounts: BinanceAccounts,
    worker_process: psutil.Process,
) -> Warmed:
    """Sync every row's account, some at a time, without its fault; then one with the largest response."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(row: Row) -> tuple[UUID, SyncOutcome]:
        async with turns:
            credential_id = await gateway.store(accounts[row.name])
            return credential_id, await gateway.sync(gateway.request(credential_id))

    ids, outcomes = zip(*await asyncio.gather(*map(in_turn, ALL_ROWS)), strict=True)
    assert all(is_true(read) for outcome in outcomes for read in outcome.wallets[:2])
    others = [await gateway.store(binance_accounts[row.name]) for row in AT_BINANCE]

    async def once(row: Row, credential_id: UUID) -> None:
        async with turns:
            await gateway.sync(_request(gateway, row, credential_id))

    await asyncio.gather(*map(once, AT_BINANCE, others))
    # The allocator keeps some of its memory, once: that is not a leak.
    await admin.put(LARGE[0].name, LARGE[0].endpoint, {"fault": "padded", "mebibytes": 9})
    await gateway.sync(gateway.request(ids[ALL_ROWS.index(LARGE[0])], seconds=ONE_TRY))
    return Warmed(list(ids), others, worker_process.memory_info().rss)


@pytest_asyncio.fixture(name="ran", scope="module")
async def _ran(gateway: Gateway, admin: Admin, warmed: Warmed) -> dict[str, Result]:
    """Sync every row's account again, some at a time, with its fault."""
    counted_anew = passed(1.0)  # the totals of OKX have a limit of one call a second
    rows = ALL_ROWS + AT_BINANCE
    await asyncio.gather(*(admin.put(row.name, row.endpoint, row.fault, row.exchange) for row in rows))
    await until(counted_anew)
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(row: Row, credential_id: UUID) -> Result:
        async with turns:
            return await struck(gateway, admin, row, credential_id)

    results, at_binance = await asyncio.gather(
        asyncio.gather(*map(in_turn, ALL_ROWS, warmed.ids)), _ran_at_binance(gateway, admin, warmed.others)
    )
    return {row.name: result for row, result in zip(rows, [*results, *at_binance], strict=True)}


async def _ran_at_binance(gateway: Gateway, admin: Admin, ids: Sequence[UUID]) -> list[Result]:
    """Sync the accounts at Binance, with their faults, at a pace that its weights allow."""
    starting: list[asyncio.Task[Result]] = []
    for row, credential_id in zip(AT_BINANCE, ids, strict=True):
        starting.append(asyncio.create_task(struck(gateway, admin, row, credential_id)))
        await until(passed(PACE))
    return [await each for each in starting]


def _request(gateway: Gateway, row: Row, credential_id: UUID) -> SyncRequested:
    return gateway.request(credential_id, "global", row.seconds, row.exchange, EMPTY.get(row.exchange, ()))


async def struck(gateway: Gateway, admin: Admin, row: Row, credential_id: UUID) -> Result:
    """Sync an account whose fault is on."""
    began = time.monotonic()
    outcome = await gateway.sync(_request(gateway, row, credential_id))
    return Result(outcome, time.monotonic() - began, await admin.struck(row.name, row.endpoint, row.exchange))


@pytest.mark.parametrize("row", STRUCK_ROWS, ids=lambda row: row.name)
def test_a_fault_has_its_verdict(ran: dict[str, Result], row: Row) -> None:
    """The struck wallet has its reason, in words; the other one is read nevertheless."""
    result = ran[row.name]
    wallets = LISTS[row.exchange]
    struck_wallet = result.read_of(wallets[row.endpoint])
    spared = result.read_of(next(wallet for wallet in wallets.values() if wallet != struck_wallet.wallet))

    assert struck_wallet.error_code == row.code
    assert spared.verdict is Verdict.COMPLETE
    assert row.tried(result.outcome.attempt)
    assert result.outcome.status == (Status.PARTIAL if row.code or row.disagrees else Status.COMPLETED)
    assert struck_wallet.verdict is verdict_of(row.code)
    assert (struck_wallet.total_check is TotalCheck.DISAGREES) is row.disagrees
    if row.code is not None:
        assert struck_wallet.error is not None
        said = row.words if row.code is Code.UNREADABLE_ROWS else FAULTS[row.code].words
        assert struck_wallet.error.startswith(said)
        assert row.words in struck_wallet.error


def verdict_of(code: Code | None) -> Verdict:
    """Return the verdict on a wallet with this code, or without one."""
    if code is None:
        return Verdict.COMPLETE
    if code is Code.UNREADABLE_ROWS:
        return Verdict.INCOMPLETE
    return Verdict.NOT_PERMITTED if code in NOT_PERMITTED else Verdict.FAILED


@pytest.mark.parametrize("row", STRUCK_ROWS, ids=lambda row: row.name)
def test_no_balance_became_zero_smaller_or_complete_by_a_fault(ran: dict[str, Result], row: Row) -> None:
    """Complete and unmarked wallets equal the exchange's, to the last digit.

    The rows of incomplete wallets do, too, and all other wallets have no balances.
    """
    for wallet in LISTS[row.exchange].values():
        read = ran[row.name].read_of(wallet)

        if read.verdict is Verdict.COMPLETE:
            assert is_true(read) or read.total_check is TotalCheck.DISAGREES
        elif read.verdict is Verdict.INCOMPLETE:
            assert holds_no_other(read)
            assert (len(read.balances or ()), read.unreadable_count) == (row.kept, row.unread)
        else:
            assert read.balances is None


@pytest.mark.parametrize("row", STRUCK_ROWS, ids=lambda row: row.name)
def test_an_exchange_that_is_slow_takes_no_longer_than_its_time(ran: dict[str, Result], row: Row) -> None:
    """A call has 10 seconds, however slow the bytes; the outcome comes by the deadline of the sync."""
    assert ran[row.name].seconds < row.seconds + 1


@pytest.mark.parametrize("row", TOTALS_ROWS, ids=lambda row: row.name)
def test_without_the_exchange_s_total_a_list_is_unchecked(ran: dict[str, Result], row: Row) -> None:
    """An unreadable total does not change the wallets, and does not count as agreement."""
    result = ran[row.name]

    assert result.struck >= 1
    assert result.outcome.status == Status.COMPLETED
    assert result.outcome.attempt == 1
    for wallet in LISTS[row.exchange].values():
        assert is_true(result.read_of(wallet))
        assert result.read_of(wallet).total_check is TotalCheck.UNCHECKED


@pytest.mark.parametrize("row", CONFIG_ROWS + BINANCE_KEY, ids=lambda row: row.name)
async def test_a_key_whose_facts_can_not_be_read_is_not_accepted(
    gateway: Gateway, admin: Admin, accounts: Accounts, binance_accounts: BinanceAccounts, row: Row
) -> None:
    """The verification returns the fault; without the fault the same key is accepted."""
    kept: Accounts | BinanceAccounts = accounts if row.exchange == "okx" else binance_accounts
    credential_id = await gateway.store(kept[row.name])
    await admin.put(row.name, row.endpoint, row.fault, row.exchange)

    refused = await gateway.verify(credential_id, "global", row.exchange)
    await admin.clear(row.name, row.endpoint, row.exchange)

    assert isinstance(refused, Refused)
    assert refused.code == row.code
    assert isinstance(await gateway.verify(credential_id, "global", row.exchange), Verified)


async def test_a_clock_that_was_set_is_learnt_at_once(
    gateway: Gateway, admin: Admin, accounts: Accounts
) -> None:
    """When the exchange refuses the time, its clock is measured again, once, within the same try."""
    credential_id = await gateway.store(accounts["in-eea"])
    assert (await gateway.sync(gateway.request(credential_id, "eea"))).status == Status.COMPLETED
    await until(passed(MIN_AGE))
    places = [read.path.removeprefix("/api/v5/") for read in OKX.reads.values()]
    await admin.put("eea", "public/time", {"fault": "skew", "seconds": -45})
    for place in places:
        await admin.put("in-eea", place, {"fault": "skew", "seconds": -45})

    outcome = await gateway.sync(gateway.request(credential_id, "eea"))
    asked = await admin.struck("eea", "public/time")
    for place in places:
        await admin.clear("in-eea", place)
    await admin.clear("eea", "public/time")

    assert (outcome.status, outcome.attempt, asked) == (Status.COMPLETED, 1, 1)


@pytest.mark.parametrize("seconds", [120, -120, 86400, -86400])
async def test_a_clock_that_is_far_off_signs_nothing(
    gateway: Gateway, admin: Admin, accounts: Accounts, seconds: int
) -> None:
    """The broker signs only near its own time, whatever the exchange says; the words name the clocks."""
    credential_id = await gateway.store(accounts["in-us"])
    await admin.put("us", "public/time", {"fault": "skew", "seconds": seconds})

    outcome = await gateway.sync(gateway.request(credential_id, "us", seconds=3))
    await admin.clear("us", "public/time")

    assert outcome.status == Status.FAILED
    assert {read.error_code for read in outcome.wallets[:2]} == {Code.CLOCK_DISAGREES}
    assert all(read.balances is None for read in outcome.wallets)


async def test_all_faults_together_leave_nothing_in_the_memory(
    ran: dict[str, Result], warmed: Warmed, worker_process: psutil.Process
) -> None:
    """After more than two hundred wrong responses, the worker is no larger than before."""

    async def as_before() -> bool:
        return bool(worker_process.memory_info().rss - warmed.memory < 20 * MEBIBYTE)

    await until(as_before)


@pytest.mark.parametrize("row", LARGE, ids=lambda row: row.name)
async def test_what_is_large_costs_no_memory(
    ran: dict[str, Result],
    gateway: Gateway,
    admin: Admin,
    accounts: Accounts,
    worker_process: psutil.Process,
    row: Row,
) -> None:
    """The worker stops reading a response that is too long, or unpacks to a gibibyte, before memory fills."""
    credential_id = await gateway.store(accounts[row.name])
    before = most = worker_process.memory_info().rss

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, worker_process.memory_info().rss)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    outcome = await gateway.sync(gateway.request(credential_id))
    watching.cancel()

    assert outcome.status == Status.PARTIAL
    assert most - before < 20 * MEBIBYTE
