"""The public facts about accounts."""

from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.syncs import Cause, Status, TotalCheck, Verdict
from contracts.values import AmountText, AssetCode, AwareTime


class WalletFact(msgspec.Struct, frozen=True):
    """The result of reading one wallet, without amounts."""

    wallet: str
    verdict: Verdict
    error_code: CodeText | None = None
    total_check: TotalCheck | None = None


class AccountPaused(msgspec.Struct, frozen=True):
    """The public fact that an account is paused: we do not use its key until `reason` is fixed."""

    account_id: UUID
    user_id: UUID
    exchange: str
    reason: CodeText
    paused_at: AwareTime


class AccountResumed(msgspec.Struct, frozen=True):
    """The public fact that the pause of an account has ended."""

    account_id: UUID
    user_id: UUID
    exchange: str
    resumed_at: AwareTime


class AccountSynced(msgspec.Struct, frozen=True):
    """The public fact that the outcome of a sync is recorded; it carries no amounts.

    `rights_unproven` says that the worker read wallets but could not read the rights of the key. `cause` is
    `schedule` for a sync that the schedule opened. `retry_at` is when the exchange may answer again, if that
    is known.
    """

    sync_id: UUID
    account_id: UUID
    user_id: UUID
    exchange: str
    status: Status
    recorded_at: AwareTime
    wallets: tuple[WalletFact, ...] = ()
    holdings_count: int | None = None
    error_code: CodeText | None = None
    rights_unproven: bool = False
    cause: Cause = Cause.PERSON
    retry_at: AwareTime | None = None


class AssetChanged(msgspec.Struct, frozen=True):
    """A change of an asset, summed over the wallets of the account, net of debt.

    `cause` is `quantity` if the account holds more or less of it, and `coverage` if a wallet was read for the
    first time. The old quantity is null if none was known. A later version may send other causes.
    """

    asset: AssetCode
    cause: str
    new_quantity: AmountText
    old_quantity: AmountText | None = None


class PortfolioChanged(msgspec.Struct, frozen=True):
    """The fact that a sync found an account to hold something else, with amounts.

    It was so at `changed_at` for the first time. `left_out` counts the changes that are not listed.
    """

    snapshot_id: UUID
    account_id: UUID
    user_id: UUID
    exchange: str
    changed_at: AwareTime
    assets: tuple[AssetChanged, ...]
    left_out: int = 0
