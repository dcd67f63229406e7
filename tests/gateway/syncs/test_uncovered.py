"""What exists and is not read is stored beside the wallets, with its time, until a later look changes it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from contracts.faults import Code
from contracts.syncs import Status, SyncFailed, Verdict, WalletRead
from contracts.uncovered import Reason, Uncovered, UncoveredEntry
from contracts.values import Balance
from gateway.accounts.look import find_not_covered
from gateway.accounts.worth import find_portfolio
from gateway.http.worth_views import portfolio_view
from gateway.portfolio.uncovered import NotCovered
from gateway.prices.readings import Readings
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store import accounts
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import outcome, recorded

pytestmark = pytest.mark.usefixtures("unpublished")
PART = "flexible_loans"


def loans(*worths: str, at: datetime | None = None) -> Uncovered:
    """Return loans as a worker finds them."""
    entries = tuple(UncoveredEntry("Flexible loans", Reason.LOAN, Decimal(worth)) for worth in worths)
    return Uncovered(PART, "Flexible loans", at or datetime.now(UTC), entries)


UNREAD = Uncovered(PART, "Flexible loans", error_code=Code.PERMISSION_MISSING)


def read(wallet: str, *balances: Balance, **more: Any) -> WalletRead:
    """Return a wallet that was read now."""
    return WalletRead(wallet, Verdict.COMPLETE, datetime.now(UTC), balances, **more)


async def synced(pool: Pool, account: Account, *parts: Uncovered, sync: Sync | None = None) -> Sync:
    """Record a sync of empty wallets that found these parts."""
    sync = sync or await opened(pool, account)
    said = outcome(sync, read("trading"), read("funding"))
    ended = await recorded(pool, msgspec.structs.replace(said, uncovered=parts), timedelta(0))
    assert ended is not None
    return ended


async def listed(pool: Pool, account: Account) -> tuple[NotCovered, ...]:
    """Return what is said of the account."""
    return (await find_not_covered(pool, [account])).get(account.id, ())


async def worths(pool: Pool, account: Account) -> list[Decimal | None]:
    """Return the worths that are named beside the account."""
    return [each.worth for each in await listed(pool, account)]


async def test_a_loan_is_stored_with_its_time_and_makes_no_sync_partial(pool: Pool, account: Account) -> None:
    """It is on the account and on the portfolio, and in no total."""
    at = datetime.now(UTC)
    sync = await synced(pool, account, loans("20000.5", at=at))

    (said,) = await listed(pool, account)
    assert (sync.status, sync.holdings_count) == (Status.COMPLETED, 0)
    assert (said.worth, said.as_of) == (Decimal("20000.5"), at)
    view = portfolio_view(await find_portfolio(pool, Readings(pool), account.user_id, None))
    assert [(each.name, each.worth_usd, each.worth) for each in view.uncovered] == [
        ("Flexible loans", "20000.5", "20000.5")
    ]
    assert view.total == "0"


async def test_a_sync_that_did_not_look_changes_nothing(pool: Pool, account: Account) -> None:
    """One in which earn was not due, one of a worker of the release before, and a failed one."""
    await synced(pool, account, loans("1"))
    before = await listed(pool, account)
    await synced(pool, account)
    sync = await opened(pool, account)
    failed = SyncFailed(sync.id, sync.account_id, "okx", Code.EXCHANGE_TIMEOUT, "late")
    assert await recorded(pool, failed) is not None

    assert await listed(pool, account) == before


async def test_a_look_that_finds_nothing_deletes_what_was_there(pool: Pool, account: Account) -> None:
    """The loan is repaid."""
    await synced(pool, account, loans("1"))
    await synced(pool, account, loans())

    assert await listed(pool, account) == ()


async def test_a_look_that_fails_keeps_what_was_there_with_its_time(pool: Pool, account: Account) -> None:
    """Without anything before, it is unknown; a permission that is missing makes no sync partial."""
    sync = await synced(pool, account, UNREAD)
    assert sync.status is Status.COMPLETED
    assert await worths(pool, account) == [None]
    await synced(pool, account, loans("1"))
    (before,) = await listed(pool, account)

    await synced(pool, account, UNREAD)

    (after,) = await listed(pool, account)
    assert (after.worth, after.as_of) == (Decimal(1), before.as_of)
    assert after.words != before.words


async def test_an_earlier_sync_that_ends_later_changes_nothing(pool: Pool, account: Account) -> None:
    """The newest sync is the one that was requested last, as for wallets."""
    first = await opened(pool, account)
    await synced(pool, account, loans("1"), sync=first)
    second = await opened(pool, account)
    await synced(pool, account, loans("2"), sync=second)
    async with pool.transaction() as connection:
        await connection.execute("update uncovered set sync_number = sync_number + 10")
    await synced(pool, account, loans("3"))

    assert await worths(pool, account) == [Decimal(2)]


async def test_what_was_found_goes_with_the_account(pool: Pool, account: Account) -> None:
    """Also where a gateway of the release before deletes it, by the same statements."""
    await synced(pool, account, loans("1"))
    async with pool.transaction() as connection:
        await accounts.delete_account(connection, account.id)
        left = await connection.execute("select 1 from uncovered")
        assert await left.fetchall() == []


async def test_another_user_s_portfolio_names_nothing(pool: Pool, account: Account) -> None:
    """Each entry belongs to an account."""
    await synced(pool, account, loans("1"))

    view = portfolio_view(await find_portfolio(pool, Readings(pool), uuid4(), None))

    assert view.uncovered == ()
