"""A sync: its request, its outcome, and what an outcome says of each wallet."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from contracts.faults import Code
from contracts.values import Balance

MAX_OUTCOME_BYTES = 1024 * 1024


class Status(StrEnum):
    """The states of a sync; all but `queued` are terminal and the first terminal one stays."""

    QUEUED = "queued"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"


class Verdict(StrEnum):
    """How a wallet was read in one sync."""

    COMPLETE = "complete"
    FAILED = "failed"
    NOT_PERMITTED = "not_permitted"
    NOT_COVERED = "not_covered"


class TotalCheck(StrEnum):
    """Whether a wallet that was read was held against the exchange's own total."""

    AGREES = "agrees"
    UNCHECKED = "unchecked"


class SyncRequested(msgspec.Struct, frozen=True):
    """Read all covered wallets of one account before the deadline."""

    sync_id: UUID
    account_id: UUID
    credential_id: UUID
    exchange: str
    region: str
    deadline: datetime
    grant: str


class WalletRead(msgspec.Struct, frozen=True):
    """One wallet's verdict; `balances` and `as_of` stand exactly when the verdict is complete.

    `as_of` is the worker's UTC clock before the request. An empty tuple is an empty wallet.
    """

    wallet: str
    verdict: Verdict
    as_of: datetime | None = None
    balances: tuple[Balance, ...] | None = None
    total_check: TotalCheck | None = None
    error_code: Code | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        complete = self.verdict is Verdict.COMPLETE
        if complete != (self.balances is not None) or complete != (self.as_of is not None):
            raise ValueError("a wallet has balances and as_of exactly when it was read completely")
        if self.verdict in (Verdict.FAILED, Verdict.NOT_PERMITTED) and self.error_code is None:
            raise ValueError("a wallet that was not read says why")


class SyncCompleted(msgspec.Struct, frozen=True, tag="completed"):
    """At least one covered wallet was read: all (completed) or some (partial)."""

    sync_id: UUID
    account_id: UUID
    exchange: str
    status: Status
    wallets: tuple[WalletRead, ...]
    attempt: int = 1

    def __post_init__(self) -> None:
        if self.status is not status_of(self.wallets):
            raise ValueError("the status does not follow from the wallets")


class SyncFailed(msgspec.Struct, frozen=True, tag="failed"):
    """No covered wallet was read; `error_code` is the one that matters most to the user."""

    sync_id: UUID
    account_id: UUID
    exchange: str
    error_code: Code
    error: str
    wallets: tuple[WalletRead, ...] = ()
    attempt: int = 1

    def __post_init__(self) -> None:
        if status_of(self.wallets) is not Status.FAILED:
            raise ValueError("a failed sync has read no wallet")

    @property
    def status(self) -> Status:
        """Give the terminal state of a failed sync."""
        return Status.FAILED


SyncOutcome = SyncCompleted | SyncFailed


def status_of(wallets: tuple[WalletRead, ...]) -> Status:
    """Tell the terminal state that the verdicts of the covered wallets mean."""
    covered = [read for read in wallets if read.verdict is not Verdict.NOT_COVERED]
    complete = [read for read in covered if read.verdict is Verdict.COMPLETE]
    if not complete:
        return Status.FAILED
    return Status.COMPLETED if len(complete) == len(covered) else Status.PARTIAL


def holdings_count(wallets: tuple[WalletRead, ...]) -> int | None:
    """Count distinct assets with a non-zero balance in the wallets read; None when none was read."""
    read = [wallet.balances for wallet in wallets if wallet.balances is not None]
    if not read:
        return None
    return len({balance.asset for balances in read for balance in balances if balance.total != 0})
