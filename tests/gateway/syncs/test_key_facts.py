"""The gateway keeps the facts about a key by credential, and shows them on the account."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from contracts.exchanges.binance import BINANCE
from contracts.syncs import KeyFacts, Rights, SyncCompleted, Verdict, WalletRead
from contracts.wire.grants import Grant, sync_purpose
from gateway.accounts.look import find_keys
from gateway.http.account_views import account_view
from gateway.rows.accounts import Account
from gateway.store.pool import Pool
from gateway.syncs.record import Together, record
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import outcome

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# Times that a message may have, and that no Python program can read in UTC.
BEFORE_ALL = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
AFTER_ALL = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-14)))


async def told(pool: Pool, account: Account, facts: KeyFacts, uid: str | None = None) -> Account:
    """Record a sync that was told these facts; uid is the owner that the exchange names."""
    sync, now = await opened(pool, account), datetime.now(UTC)
    said = outcome(sync, WalletRead("trading", Verdict.COMPLETE, now, ()))
    assert isinstance(said, SyncCompleted)
    rights = Rights(uid or account.exchange_uid, ("read_only",), facts)
    assert account.credential_id is not None
    grant = Grant(account.credential_id, "okx", sync_purpose(sync.id), now + timedelta(minutes=2))
    async with pool.transaction() as connection:
        await record(connection, msgspec.structs.replace(said, rights=rights), Together(), grant)
    return account


async def test_facts_of_a_key_follow_the_last_sync(pool: Pool, account: Account) -> None:
    """A key without facts is shown as it was connected; a sync that is told nothing changes nothing."""
    assert (await find_keys(pool, [account.id])) == {}
    view = account_view(account, ()).key
    assert view is not None
    assert (view.kind, view.born, view.created_at, view.ip_bound) == ("hmac", False, None, account.ip_bound)

    for facts in (KeyFacts(MADE, ip_bound=False), KeyFacts(MADE, MADE, ip_bound=True), KeyFacts()):
        await told(pool, account, facts)

    key = (await find_keys(pool, [account.id]))[account.id]
    assert (key.created_at, key.expires_at, key.ip_bound) == (MADE, MADE, True)
    shown = account_view(account, (), key=key)
    assert shown.key is not None
    assert (shown.ip_bound, shown.key.ip_bound, shown.key.expires_at) == (True, True, MADE)


async def test_the_key_of_another_account_tells_nothing(pool: Pool, account: Account) -> None:
    """A sync that must not be used leaves no facts."""
    await told(pool, account, KeyFacts(MADE, ip_bound=True), uid="another")

    assert (await find_keys(pool, [account.id])) == {}


@pytest.mark.parametrize("odd", [BEFORE_ALL, AFTER_ALL])
async def test_an_impossible_time_is_not_kept(pool: Pool, account: Account, odd: datetime) -> None:
    """A worker that sends one does not make the account unreadable: the fact is unknown, the others stay."""
    await told(pool, account, KeyFacts(odd, MADE, ip_bound=True))

    key = (await find_keys(pool, [account.id]))[account.id]

    assert (key.created_at, key.expires_at, key.ip_bound) == (None, MADE, True)


def test_a_right_with_a_warning_is_shown_beside_the_key(account: Account) -> None:
    """The key is accepted, and the account view warns of the right."""
    warned = msgspec.structs.replace(
        account, exchange="binance", permissions=("enableReading", "enablePortfolioMarginTrading")
    )

    view = account_view(warned, ()).key

    assert view is not None
    (warning,) = view.warnings
    assert warning.startswith("enablePortfolioMarginTrading: ")
    assert BINANCE.warned_permissions["enablePortfolioMarginTrading"] in warning
