"""A sync: its request, its outcome, and the outcome's record of each wallet."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec

from contracts.faults import Code, CodeText, EndpointName, ExchangeCode
from contracts.positions import MAX_POSITIONS, Position
from contracts.uncovered import Parts
from contracts.values import AssetCode, AwareTime, Balance, check_amount

MAX_OUTCOME_BYTES = 1024 * 1024
# A list of more sub-accounts is not whole.
MAX_SUB_ACCOUNTS = 200

# The grant of the request that led to an outcome; None from a worker of the previous release.
GrantText = Annotated[str, msgspec.Meta(max_length=1024)]
# The exchange's id of an account.
AccountUid = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]
# The exchange's name of one right of a key.
Right = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z")]


class Status(StrEnum):
    """The states of a sync; all but `queued` are terminal, and the first terminal one stays."""

    QUEUED = "queued"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"


class Cause(StrEnum):
    """Why a sync was opened: a person asked for it, or the schedule did.

    A cause of a later version is treated as `schedule`.
    """

    PERSON = "person"
    SCHEDULE = "schedule"

    @classmethod
    def _missing_(cls, _value: object) -> "Cause":
        return cls.SCHEDULE


class Verdict(StrEnum):
    """The result of reading a wallet in one sync; a verdict of a later version is treated as `failed`.

    An `incomplete` wallet has unreadable rows, or its list does not match its own total. One that is
    `not_due` held nothing when it was read last, less than six hours ago, and the exchange values it at
    nothing. One that is `not_covered` with an `error_code` exists and is left out for that reason.
    """

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    NOT_PERMITTED = "not_permitted"
    NOT_COVERED = "not_covered"
    NOT_DUE = "not_due"

    @classmethod
    def _missing_(cls, _value: object) -> "Verdict":
        return cls.FAILED


class TotalCheck(StrEnum):
    """The result of comparing a wallet that was read with the exchange's own total.

    A value of a later version is treated as `unchecked`.
    """

    AGREES = "agrees"
    DISAGREES = "disagrees"
    UNCHECKED = "unchecked"

    @classmethod
    def _missing_(cls, _value: object) -> "TotalCheck":
        return cls.UNCHECKED


class SubAccount(msgspec.Struct, frozen=True):
    """A sub-account of a master account, by the exchange's uid and its name there."""

    uid: AccountUid
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class SubAccountList(msgspec.Struct, frozen=True):
    """The sub-accounts that the exchange lists for the key of a master account.

    With `error_code`, the list was not read, and `sub_accounts` says nothing. The list is not whole if the
    exchange has `more`, or if `unreadable` rows of it could not be read.
    """

    sub_accounts: Annotated[tuple[SubAccount, ...], msgspec.Meta(max_length=MAX_SUB_ACCOUNTS)] = ()
    more: bool = False
    unreadable: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    error_code: CodeText | None = None

    @property
    def whole(self) -> bool:
        """Return whether a sub-account that is not listed does not exist."""
        return self.error_code is None and not self.more and not self.unreadable


class SyncRequested(msgspec.Struct, frozen=True):
    """Read all covered wallets of one account before the deadline.

    `lately_empty` are wallets that held nothing when they were read last, less than six hours ago: the worker
    may leave one unread that the exchange values at nothing. `lately_refused` are wallets that the exchange
    refused less than a day ago, because only a right that we refuse opens them: the worker leaves them unread
    and not covered. With `sub_account`, the account is that sub-account of the key's account, and the outcome
    must name it. With `list_sub_accounts`, the outcome has the list of the sub-accounts of the key's account.
    """

    sync_id: UUID
    account_id: UUID
    credential_id: UUID
    exchange: str
    region: str
    deadline: AwareTime
    grant: str
    lately_empty: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    lately_refused: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    sub_account: SubAccount | None = None
    list_sub_accounts: bool = False


class KeyFacts(msgspec.Struct, frozen=True):
    """The facts about a key that the exchange states beside its rights; None if it does not state them."""

    created_at: AwareTime | None = None
    expires_at: AwareTime | None = None
    ip_bound: bool | None = None


class Rights(msgspec.Struct, frozen=True):
    """The owner and the rights of the key of a sync, as the exchange reported them during that sync.

    `exchange_uid` is the account of the key; `permissions` are the exchange's own words.
    """

    exchange_uid: AccountUid
    permissions: Annotated[tuple[Right, ...], msgspec.Meta(max_length=32)]
    key: KeyFacts = KeyFacts()


READ = frozenset({Verdict.COMPLETE, Verdict.INCOMPLETE})
# A sync was not to read these.
LEFT_OUT = frozenset({Verdict.NOT_COVERED, Verdict.NOT_DUE})
# Why a wallet that exists is not covered; with another code it counts as not covered without a reason.
LEFT_OUT_CODES = frozenset({Code.REFUSED_RIGHT, Code.NOT_ENABLED, Code.HELD_ELSEWHERE})
# A valuation of at most so many USD values a wallet at nothing.
NOTHING_USD = Decimal("0.01")


class Totals(msgspec.Struct, frozen=True):
    """The worth of a list and the exchange's totals for it, in USD; None where unknown.

    `listed` is the sum of all rows, including those whose amount is unreadable, and `gross` is the sum of
    their absolute values; both are None if a row has no price. `stated` is the total in the response that has
    the list, and `fits` says whether the list matches it. `valued` is the exchange's valuation of the wallet.
    """

    listed: Decimal | None = None
    gross: Decimal | None = None
    stated: Decimal | None = None
    valued: Decimal | None = None
    fits: bool = False

    def __post_init__(self) -> None:
        for amount in (self.listed, self.gross, self.stated, self.valued):
            if amount is not None:
                check_amount(amount)


class UnreadableRow(msgspec.Struct, frozen=True):
    """An unreadable row of a list: the reason, and its asset and worth in USD if these are readable.

    `reason` is one of `contracts.reasons`; any other is treated as the general reason.
    """

    reason: Annotated[str, msgspec.Meta(max_length=200)]
    asset: AssetCode | None = None
    usd: Decimal | None = None

    def __post_init__(self) -> None:
        if self.usd is not None:
            check_amount(self.usd)


class WalletRead(msgspec.Struct, frozen=True):
    """One wallet's verdict; a complete or incomplete wallet has `balances` and `as_of`.

    `unreadable` are unreadable rows, and `unreadable_count` is the number of all of them. `unread_parts` are
    the reads of parts that an incomplete wallet lacks. `reported_at` is
    the time at which the exchange last looked at the account, if more than a day before `as_of`.
    `as_of` is the worker's UTC clock before the request, of a wallet that is not due that of the valuation
    (`totals.valued`). An empty tuple is an empty wallet. `error_code` is
    the reason why a wallet was not read: of one that is not covered, one of LEFT_OUT_CODES, or none. The
    receiver drops the other fields of an unknown verdict.
    `positions` are its open positions at `positions_as_of`, None if they were not read; `positions_code` says
    why they were not read, or not whole. `prices` are the prices in USD by which the exchange itself
    values the list, each of one unit and rounded to 12 digits.
    """

    wallet: str
    verdict: Verdict
    as_of: AwareTime | None = None
    balances: tuple[Balance, ...] | None = None
    total_check: TotalCheck | None = None
    error_code: CodeText | None = None
    error: str | None = None
    totals: Totals | None = None
    unreadable: tuple[UnreadableRow, ...] = ()
    unreadable_count: int = 0
    difference_usd: Decimal | None = None
    reported_at: AwareTime | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None
    positions: Annotated[tuple[Position, ...], msgspec.Meta(max_length=MAX_POSITIONS)] | None = None
    positions_as_of: AwareTime | None = None
    positions_code: CodeText | None = None
    unread_parts: Annotated[tuple[EndpointName, ...], msgspec.Meta(max_length=16)] = ()
    prices: dict[AssetCode, Decimal] = {}

    def __post_init__(self) -> None:
        for price in self.prices.values():
            check_amount(price)
        if self.verdict in READ and (self.balances is None or self.as_of is None):
            raise ValueError("a wallet that was read has balances and as_of")


# Seconds after which the exchange may answer again, a day at most.
RetryAfter = Annotated[float, msgspec.Meta(ge=0, le=86400)]
FurtherWallets = Annotated[tuple[WalletRead, ...], msgspec.Meta(max_length=16)]


class SyncCompleted(msgspec.Struct, frozen=True, tag="completed"):
    """At least one covered wallet was read: all (completed) or some (partial).

    `status` is the sender's, for programs that read the message; the gateway derives its own.
    `rights` are None if the worker could not read them. `further` are the wallets that the gateways of the
    first release do not cover: in `wallets` they are not covered, and the status leaves them out. `uncovered`
    are parts of the account that no wallet contains.
    `sub_account` is the one whose wallets these are, None for the account of the key. `sub_accounts` is the
    list of the key's sub-accounts, None if the request did not ask for it.
    """

    sync_id: UUID
    account_id: UUID
    exchange: str
    status: str
    wallets: tuple[WalletRead, ...]
    attempt: int = 1
    grant: GrantText | None = None
    rights: Rights | None = None
    further: FurtherWallets = ()
    uncovered: Parts = ()
    sub_account: SubAccount | None = None
    sub_accounts: SubAccountList | None = None


class SyncFailed(msgspec.Struct, frozen=True, tag="failed"):
    """No covered wallet was read; `error_code` is the one that matters most to the user.

    `further` and the fields after it are as in SyncCompleted. `retry_after` is set if the exchange named the
    time, or the worker knows it: a sync that begins earlier would fail alike.
    """

    sync_id: UUID
    account_id: UUID
    exchange: str
    error_code: CodeText
    error: str
    wallets: tuple[WalletRead, ...] = ()
    attempt: int = 1
    grant: GrantText | None = None
    rights: Rights | None = None
    further: FurtherWallets = ()
    retry_after: RetryAfter | None = None
    uncovered: Parts = ()
    sub_account: SubAccount | None = None
    sub_accounts: SubAccountList | None = None

    @property
    def status(self) -> str:
        """Return the terminal state of a failed sync."""
        return Status.FAILED


SyncOutcome = SyncCompleted | SyncFailed


class SyncWaiting(msgspec.Struct, frozen=True):
    """A worker tries a sync again in so many seconds, because the exchange lets it wait for this reason."""

    sync_id: UUID
    error_code: CodeText
    seconds: RetryAfter


def status_of(wallets: tuple[WalletRead, ...]) -> Status:
    """Return the terminal state that follows from the verdicts of the covered wallets.

    A sync without a wallet that was read is failed. A wallet that is incomplete, or that the exchange's
    valuation contradicts, makes the sync partial.
    """
    covered = [read for read in wallets if read.verdict not in LEFT_OUT]
    if not any(read.verdict in READ for read in covered):
        return Status.FAILED
    whole = all(
        read.verdict is Verdict.COMPLETE and read.total_check is not TotalCheck.DISAGREES for read in covered
    )
    return Status.COMPLETED if whole else Status.PARTIAL


def holdings_count(wallets: tuple[WalletRead, ...]) -> int | None:
    """Return the number of distinct assets with a non-zero balance; None if no wallet was read."""
    read = [wallet.balances for wallet in wallets if wallet.balances is not None]
    if not read:
        return None
    return len({balance.asset for balances in read for balance in balances if balance.total != 0})
