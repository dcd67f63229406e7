"""The API shows no more than was read."""

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code
from contracts.syncs import Status
from gateway.http import views
from gateway.http.account_views import key_view
from gateway.http.holdings_views import holdings_view
from gateway.http.sync_views import batch_view, sync_view
from gateway.http.views import balances_view
from gateway.portfolio.holdings import WalletState
from gateway.rows.accounts import Account
from gateway.rows.balances import Held, StoredBalance, StoredWallet
from gateway.rows.pauses import Stand
from gateway.rows.restores import Restore
from gateway.rows.syncs import Sync

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WIDE = Context(prec=60)
ACCOUNT = Account(
    id=uuid4(),
    user_id=uuid4(),
    exchange="okx",
    region="global",
    name="main",
    credential_id=uuid4(),
    exchange_uid="1",
    master_uid="1",
    permissions=("read_only",),
    ip_bound=False,
    api_key_hint="8418",
    created_at=NOW,
    deleted_at=None,
    last_synced_at=None,
    last_attempt_at=None,
    last_error_code=None,
)


def stored(wallet: str, as_of: datetime | None = NOW, error_code: Code | None = None) -> StoredWallet:
    """Return a stored wallet."""
    return StoredWallet(wallet, as_of, None, error_code, None)


def held(wallet: str, asset: str, total: str, available: str | None = None) -> StoredBalance:
    """Return a stored balance."""
    known = None if available is None else Decimal(available)
    return StoredBalance(asset, Decimal(total), known, None, None, wallet=wallet)


def sync(status: Status, error_code: Code | None = None) -> Sync:
    """Return a sync."""
    return Sync(
        id=uuid4(),
        number=1,
        user_id=ACCOUNT.user_id,
        account_id=ACCOUNT.id,
        exchange="okx",
        status=status,
        requested_at=NOW,
        deadline=NOW,
        publications=1,
        finished_at=None,
        holdings_count=None,
        error_code=error_code,
        error=None,
        wallets=(),
    )


def test_a_right_that_only_reads_may_have_a_warning() -> None:
    """Binance shows portfolio margin on keys that may only read; a right without one needs no words."""
    rights = ("enableReading", "enablePortfolioMarginTrading")
    account = msgspec.structs.replace(ACCOUNT, exchange="binance", permissions=rights)

    (warning,) = key_view(account, None).warnings

    assert warning.startswith("enablePortfolioMarginTrading: ")
    assert "Switch it off at Binance" in warning
    assert key_view(ACCOUNT, None).warnings == ()


def test_a_wallet_never_read_has_no_balances() -> None:
    """Balances of a wallet that was never read are null, never an empty list."""
    view = balances_view(Held(ACCOUNT, [stored("trading"), stored("funding", None, Code.RATE_LIMITED)], []))

    assert {wallet.wallet: wallet.balances for wallet in view.wallets} == {
        "trading": (),
        "funding": None,
        "earn": None,
    }


def test_a_wallet_whose_last_read_failed_is_stale_and_says_why() -> None:
    """The last good set stays, with its time and the code of the failed read."""
    kept = Held(ACCOUNT, [stored("trading", NOW, Code.EXCHANGE_TIMEOUT)], [held("trading", "BTC", "1")])

    view = balances_view(kept).wallets[0]

    assert (view.state, view.as_of, view.error_code) == (WalletState.STALE, NOW, Code.EXCHANGE_TIMEOUT)
    assert view.balances is not None
    assert view.balances[0].total == "1"


def test_a_wallet_that_was_never_read_is_named() -> None:
    """Every wallet of the exchange is shown, also before the first sync."""
    view = balances_view(Held(ACCOUNT, [], []))

    assert {wallet.wallet: wallet.state for wallet in view.wallets} == dict.fromkeys(
        ("trading", "funding", "earn"), WalletState.NEVER_READ
    )


def test_holdings_of_an_account_never_read_are_unknown() -> None:
    """Without any read wallet, holdings are null, not empty."""
    view = holdings_view(Held(ACCOUNT, [], []))

    assert (view.holdings, view.complete, view.missing_wallets) == (
        None,
        False,
        ("trading", "funding", "earn"),
    )


@pytest.mark.parametrize(
    ("funding", "complete"),
    [
        (stored("funding"), True),
        (stored("funding", NOW, Code.RATE_LIMITED), False),
        (stored("funding", None), False),
    ],
)
def test_holdings_are_complete_only_when_every_covered_wallet_is_fresh(
    funding: StoredWallet, *, complete: bool
) -> None:
    """A stale or missing wallet makes the sums incomplete."""
    wallets = [stored("trading"), funding, stored("earn")]

    assert holdings_view(Held(ACCOUNT, wallets, [])).complete is complete


@pytest.mark.parametrize(
    ("seconds", "stale", "complete"), [(-1, (), True), (1, ("trading", "funding", "earn"), False)]
)
def test_holdings_of_before_a_restore_are_not_complete(
    seconds: int, stale: tuple[str, ...], *, complete: bool
) -> None:
    """A wallet that was not read since a restore may be older than the last balances that the user saw."""
    restored_at = NOW + timedelta(seconds=seconds)
    wallets = [stored("trading"), stored("funding"), stored("earn")]

    view = holdings_view(Held(ACCOUNT, wallets, []), Restore(restored_at, NOW - timedelta(days=1)))

    assert (view.complete, view.stale_wallets) == (complete, stale)
    assert view.restored_at == (None if complete else restored_at)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    """Available is null if one wallet lacks it, never the sum of the others."""
    balances = [held("trading", "BTC", "1", "1"), held("funding", "BTC", "2")]

    view = holdings_view(Held(ACCOUNT, [stored("trading"), stored("funding")], balances))

    assert view.holdings is not None
    assert (view.holdings[0].total, view.holdings[0].available) == ("3", None)


@given(
    st.lists(
        st.integers(-(10**38), 10**38).map(lambda whole: Decimal(whole).scaleb(-18, WIDE)),
        min_size=1,
        max_size=2,
    )
)
def test_sums_do_not_round(amounts: list[Decimal]) -> None:
    """A sum over wallets is exact to the last digit."""
    wallets = ("trading", "funding")
    balances = [held(wallet, "X", str(amount)) for wallet, amount in zip(wallets, amounts, strict=False)]

    view = holdings_view(Held(ACCOUNT, [stored(wallet) for wallet in wallets], balances))

    assert view.holdings is not None
    assert [exact(Decimal(holding.total)) for holding in view.holdings] == (
        [sum(map(exact, amounts))] if any(amounts) else []
    )


def exact(amount: Decimal) -> int:
    """Return an amount of 18 places as a whole number of the smallest unit."""
    sign, digits, exponent = amount.as_tuple()
    assert isinstance(exponent, int)
    whole: int = int("".join(map(str, digits))) * 10 ** (exponent + 18)
    return -whole if sign else whole


@pytest.mark.parametrize(
    ("status", "success"),
    [(Status.QUEUED, None), (Status.COMPLETED, True), (Status.PARTIAL, False), (Status.FAILED, False)],
)
def test_only_a_complete_sync_is_a_success(status: Status, *, success: bool | None) -> None:
    """A partial sync is not a success, and a queued one has no result."""
    assert sync_view(sync(status), (), Stand()).success is success


def test_a_batch_counts_every_sync_once() -> None:
    """Successful, failed and pending add up to the total."""
    ended = [sync(status) for status in Status]

    view = batch_view(uuid4(), ended, (), {each.account_id: Stand() for each in ended})

    assert (view.total, view.successful, view.failed, view.pending) == (4, 1, 2, 1)


def test_no_view_is_a_row() -> None:
    """A column that a row gets does not appear in the API by itself."""
    shown = [each for each in vars(views).values() if getattr(each, "__module__", "") == views.__name__]
    modules = {base.__module__ for each in shown if isinstance(each, type) for base in each.__mro__}

    assert views.__name__ in modules
    assert not [module for module in modules if module.startswith("gateway.rows")]
