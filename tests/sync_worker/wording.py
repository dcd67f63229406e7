"""What the tests of the centre say again and again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from uuid_utils.compat import uuid7

from contracts.faults import Code, failure
from contracts.syncs import SyncRequested, TotalCheck, Verdict, WalletRead
from contracts.values import Balance
from sync_worker.verdicts import unread

NOW = datetime(2026, 6, 27, 12, 0, 0, 123000, UTC)


def a_request() -> SyncRequested:
    """Write a request for a sync that has two minutes."""
    deadline = NOW + timedelta(seconds=120)
    return SyncRequested(uuid7(), uuid7(), uuid7(), "okx", "global", deadline, "grant")


def complete(wallet: str, *balances: Balance) -> WalletRead:
    """Write the verdict on a wallet that was read."""
    return WalletRead(wallet, Verdict.COMPLETE, NOW, balances, TotalCheck.AGREES)


def failed(wallet: str, code: Code) -> WalletRead:
    """Write the verdict on a wallet that was not read."""
    return unread(wallet, failure(code))


def bitcoin(total: str = "1") -> Balance:
    """Write a balance."""
    return Balance("BTC", Decimal(total))
