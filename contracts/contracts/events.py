"""Verifying an account's credential, and the public facts about accounts."""

from typing import Annotated
from uuid import UUID

import msgspec

from contracts.credentials import Refused
from contracts.faults import CodeText
from contracts.syncs import AccountUid, Right, Status, TotalCheck, Verdict
from contracts.values import AwareTime

MAX_RIGHTS, MAX_ADDRESSES = 32, 256
# An IP address or a network that a key is bound to.
Bound = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Fa-f.:/]{1,64}\Z")]


class Verify(msgspec.Struct, frozen=True):
    """Read the owner and the rights of a credential before the gateway accepts it.

    With `rights_only` the gateway knows the account already, and the worker reads only its uid and the
    rights. A worker of the previous release reads all.
    """

    credential_id: UUID
    exchange: str
    region: str
    grant: str
    deadline: AwareTime
    rights_only: bool = False


class Verified(msgspec.Struct, frozen=True, tag="verified"):
    """The owner, rights and bound addresses of a credential as the exchange reports them.

    `exchange_uid` is the account of the key; `master_uid` is its master, equal for a master account.
    `permissions` are the exchange's own words, for OKX of read_only, trade, withdraw.
    `bound_addresses` are the IP addresses that the key is bound to, empty when it is not bound.
    """

    exchange_uid: AccountUid
    master_uid: AccountUid
    permissions: Annotated[tuple[Right, ...], msgspec.Meta(max_length=MAX_RIGHTS)]
    bound_addresses: Annotated[tuple[Bound, ...], msgspec.Meta(max_length=MAX_ADDRESSES)]


class VerifiedRights(msgspec.Struct, frozen=True, tag="verified_rights"):
    """The uid and the rights of a credential, in the exchange's own words."""

    exchange_uid: AccountUid
    permissions: Annotated[tuple[Right, ...], msgspec.Meta(max_length=MAX_RIGHTS)]


VerifyReply = Verified | Refused
RightsReply = VerifiedRights | Verified | Refused


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

    `rights_unproven` says that the worker read wallets but could not read the rights of the key.
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
