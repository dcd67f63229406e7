"""Values that many tests of the central modules use."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from uuid_utils.compat import uuid7

from contracts.faults import Code, failure
from contracts.syncs import SyncRequested, TotalCheck, Verdict, WalletRead
from contracts.values import Balance
from sync_worker.verdicts import unread

NOW = datetime(2026, 6, 27, 12, 0, 0, 123000, UTC)


def a_request() -> SyncRequested:
    """Return a request for a sync with two minutes left."""
    deadline = NOW + timedelta(seconds=120)
    return SyncRequested(uuid7(), uuid7(), uuid7(), "okx", "global", deadline, "grant")


def complete(wallet: str, *balances: Balance) -> WalletRead:
    """Return the verdict on a read wallet."""
    return WalletRead(wallet, Verdict.COMPLETE, NOW, balances, TotalCheck.AGREES)


def failed(wallet: str, code: Code) -> WalletRead:
    """Return the verdict on an unread wallet."""
    return unread(wallet, failure(code))


def bitcoin(total: str = "1") -> Balance:
    """Return a balance."""
    return Balance("BTC", Decimal(total))
