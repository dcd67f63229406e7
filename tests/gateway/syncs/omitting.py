"""Syncs of an account at Binance that leave wallets out with a reason."""

from decimal import Decimal

from contracts.faults import Code
from contracts.syncs import Status, SyncCompleted, SyncFailed, Totals, Verdict, WalletRead, status_of
from contracts.uncovered import Uncovered
from contracts.values import Balance
from gateway.rows.accounts import Account
from gateway.rows.syncs import Sync
from gateway.store.pool import Pool
from tests.gateway.conftest import opened
from tests.gateway.syncs.recorded import read, recorded

FUTURES, MARGIN, PORTFOLIO_MARGIN = "usdm_futures", "margin", "portfolio_margin"
COIN = Balance("USDT", Decimal(100))
# The worker reads these wallets of a usual account, which trades at spot alone, and omits the others.
USUAL = ("spot", "funding", "earn")
REASONS = {
    "margin": Code.NOT_ENABLED,
    "isolated_margin": Code.NOT_ENABLED,
    FUTURES: Code.REFUSED_RIGHT,
    "coinm_futures": Code.REFUSED_RIGHT,
    "options": Code.NOT_ENABLED,
    PORTFOLIO_MARGIN: Code.NOT_ENABLED,
}


def omitted(wallet: str, code: str, worth: str | None = None, exchange_code: str | None = None) -> WalletRead:
    """Return a wallet that was left out, with the exchange's valuation."""
    totals = None if worth is None else Totals(valued=Decimal(worth))
    return WalletRead(
        wallet, Verdict.NOT_COVERED, error_code=code, error="said", totals=totals, exchange_code=exchange_code
    )


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
