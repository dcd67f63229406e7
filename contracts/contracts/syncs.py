"""A sync: its request, its outcome, and what an outcome says of each wallet."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.values import Balance

MAX_OUTCOME_BYTES = 1024 * 1024


class Status(StrEnum):
    """The states of a sync; all but `queued` are terminal and the first terminal one stays."""

    QUEUED = "queued"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"


class Verdict(StrEnum):
    """How a wallet was read in one sync; a verdict of a later version acts as `failed`."""

    COMPLETE = "complete"
    FAILED = "failed"
    NOT_PERMITTED = "not_permitted"
    NOT_COVERED = "not_covered"

    @classmethod
    def _missing_(cls, _value: object) -> "Verdict":
        return cls.FAILED


class TotalCheck(StrEnum):
    """Whether a wallet that was read was compared with the exchange's own total.

    A value of a later version acts as `unchecked`.
    """

    AGREES = "agrees"
    UNCHECKED = "unchecked"

    @classmethod
    def _missing_(cls, _value: object) -> "TotalCheck":
        return cls.UNCHECKED


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
    """One wallet's verdict; `balances` and `as_of` are there when the wallet was read.

    `as_of` is the worker's UTC clock before the request. An empty tuple is an empty wallet. A wallet that was
    not read says why in `error_code`; the receiver drops what a verdict that it does not know came with.
    """

    wallet: str
    verdict: Verdict
    as_of: datetime | None = None
    balances: tuple[Balance, ...] | None = None
    total_check: TotalCheck | None = None
    error_code: CodeText | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if self.verdict is Verdict.COMPLETE and (self.balances is None or self.as_of is None):
            raise ValueError("a wallet that was read has balances and as_of")


class SyncCompleted(msgspec.Struct, frozen=True, tag="completed"):
    """At least one covered wallet was read: all (completed) or some (partial).

    `status` is the sender's word for programs that look at the message; the gateway derives its own.
    """

    sync_id: UUID
    account_id: UUID
    exchange: str
    status: str
    wallets: tuple[WalletRead, ...]
    attempt: int = 1


class SyncFailed(msgspec.Struct, frozen=True, tag="failed"):
    """No covered wallet was read; `error_code` is the one that matters most to the user."""

    sync_id: UUID
    account_id: UUID
    exchange: str
    error_code: CodeText
    error: str
    wallets: tuple[WalletRead, ...] = ()
    attempt: int = 1

    @property
    def status(self) -> str:
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
