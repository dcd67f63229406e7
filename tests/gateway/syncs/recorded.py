"""Outcomes as a worker writes them, recorded, and the API's view of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from contracts.faults import Code
from contracts.syncs import (
    Status,
    SyncCompleted,
    SyncFailed,
    SyncOutcome,
    Verdict,
    WalletRead,
    status_of,
)
from contracts.values import Balance
from gateway.accounts.look import find_held
from gateway.http.holdings_views import HoldingsView, holdings_view
from gateway.http.views import WalletView, balances_view
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store.pool import Pool
from gateway.syncs.record import Together, record


def read(wallet: str, *balances: Balance) -> WalletRead:
    """Return a wallet that was read now, whole."""
    return WalletRead(wallet, Verdict.COMPLETE, datetime.now(UTC), balances)


def failed(wallet: str) -> WalletRead:
    """Return a wallet that was not read."""
    return WalletRead(wallet, Verdict.FAILED, error_code=Code.EXCHANGE_TIMEOUT, error="late")


def earn(wallets: Sequence[WalletRead]) -> WalletRead:
    """Return an empty earn wallet that was read with the others, or failed with them."""
    times = [wallet.as_of for wallet in wallets if wallet.as_of is not None]
    return WalletRead("earn", Verdict.COMPLETE, min(times), ()) if times else failed("earn")


def outcome(sync: Sync, *wallets: WalletRead) -> SyncOutcome:
    """Return the outcome that a worker would publish; an earn wallet is added if none is given."""
    given = any(wallet.wallet == "earn" for wallet in wallets)
    reads = wallets if given else (*wallets, earn(wallets))
    status = status_of(reads)
    if status is Status.FAILED:
        return SyncFailed(sync.id, sync.account_id, "okx", Code.EXCHANGE_TIMEOUT, "late", reads)
    return SyncCompleted(sync.id, sync.account_id, "okx", status, reads)


async def recorded(pool: Pool, said: SyncOutcome, patience: timedelta = timedelta(minutes=5)) -> Sync | None:
    """Record an outcome."""
    async with pool.transaction() as connection:
        return await record(connection, said, Together(patience))


async def shown_wallet(pool: Pool, account: Account) -> WalletView:
    """Return the trading wallet as the API shows it."""
    return balances_view(await find_held(pool, account.user_id, account.id)).wallets[0]


async def shown(pool: Pool, account: Account) -> tuple[Account, HoldingsView]:
    """Return the account and its holdings as the API shows them."""
    held = await find_held(pool, account.user_id, account.id)
    return held.account, holdings_view(held)


def totals(view: HoldingsView) -> dict[str, str] | None:
    """Return the totals by asset."""
    return None if view.holdings is None else {holding.asset: holding.total for holding in view.holdings}
