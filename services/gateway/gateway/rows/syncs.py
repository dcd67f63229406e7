"""Syncs, from the request to the terminal state."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from contracts.faults import CodeText, EndpointName, ExchangeCode
from contracts.syncs import Cause, Status, SubAccount, TotalCheck, Verdict
from contracts.values import AmountText


class ReadDetail(msgspec.Struct, frozen=True, kw_only=True):
    """Details of a read beside its list; structs with more fields inherit them.

    Unreadable rows with reasons, the difference in USD to the total of the exchange's response, the time of
    the exchange's data, and the exchange's error code.
    """

    unreadable_rows: int = 0
    unreadable: tuple[str, ...] = ()
    difference_usd: AmountText | None = None
    reported_at: datetime | None = None
    exchange_code: ExchangeCode | None = None
    endpoint: EndpointName | None = None

    def shared(self) -> dict[str, Any]:
        """Return the fields that all these structs have."""
        return {name: getattr(self, name) for name in ReadDetail.__struct_fields__}


class WalletVerdict(ReadDetail, frozen=True):
    """The verdict of one wallet in a sync, with its details."""

    wallet: str
    verdict: Verdict
    as_of: datetime | None = None
    total_check: TotalCheck | None = None
    error_code: CodeText | None = None
    error: str | None = None


class Sync(msgspec.Struct, frozen=True):
    """A sync as stored; `wallets` is empty until the sync ends.

    `rights_unproven` is true if it read wallets but not the rights of the key. `retry_at` is when the
    exchange may answer again, if the worker knew.
    """

    id: UUID
    number: int
    user_id: UUID
    account_id: UUID
    exchange: str
    status: Status
    requested_at: datetime
    deadline: datetime
    publications: int
    finished_at: datetime | None
    holdings_count: int | None
    error_code: CodeText | None
    error: str | None
    wallets: tuple[WalletVerdict, ...]
    rights_unproven: bool = False
    cause: Cause = Cause.PERSON
    retry_at: datetime | None = None

    def __post_init__(self) -> None:
        if any(map(_is_not_due, self.wallets)):
            msgspec.structs.force_setattr(self, "wallets", tuple(map(_told, self.wallets)))


def storable(wallets: tuple[WalletVerdict, ...]) -> tuple[WalletVerdict, ...]:
    """Return verdicts as they are stored, so that gateways of the first release can read them.

    They do not know `not_due`: it is stored as `not_covered` with the time of the valuation, which no other
    wallet that is not covered has. A Sync has them as they were.
    """
    return tuple(
        msgspec.structs.replace(each, verdict=Verdict.NOT_COVERED)
        if each.verdict is Verdict.NOT_DUE
        else each
        for each in wallets
    )


def _is_not_due(stored: WalletVerdict) -> bool:
    return stored.verdict is Verdict.NOT_COVERED and stored.as_of is not None


def _told(stored: WalletVerdict) -> WalletVerdict:
    return msgspec.structs.replace(stored, verdict=Verdict.NOT_DUE) if _is_not_due(stored) else stored


class Opening(msgspec.Struct, frozen=True):
    """A sync to open, with its first publication, for the credential that its account has."""

    id: UUID
    user_id: UUID
    account_id: UUID
    credential_id: UUID | None
    exchange: str
    deadline: datetime
    publications: int = 1


class Ending(msgspec.Struct, frozen=True):
    """The fields that a terminal state adds to a sync."""

    status: Status
    holdings_count: int | None
    error_code: CodeText | None
    error: str | None
    wallets: tuple[WalletVerdict, ...]


class Held(msgspec.Struct, frozen=True):
    """The requests waiting in the stream: sequences after `above`, up to `up_to`, published since `since`."""

    above: int
    up_to: int
    since: datetime


class Overdue(msgspec.Struct, frozen=True):
    """The data to settle a sync; `times` counts the settlements, including this one.

    `credential_id` is None if the account was deleted.
    """

    id: UUID
    account_id: UUID
    exchange: str
    publications: int
    deadline: datetime
    credential_id: UUID | None
    times: int


class Queued(msgspec.Struct, frozen=True):
    """An open sync of any user; `now` is the database's time.

    `deleted` and `credential_id` are those of its account; a deleted account has no credential.
    `sub_account` is set for an account that the key of its parent reads.
    """

    id: UUID
    number: int
    user_id: UUID
    account_id: UUID
    exchange: str
    requested_at: datetime
    deadline: datetime
    publications: int
    now: datetime
    deleted: bool
    credential_id: UUID | None = None
    cause: Cause = Cause.PERSON
    sub_account: SubAccount | None = None


class Publication(msgspec.Struct, frozen=True):
    """One publication of a sync's request; `number` counts from 1."""

    sync_id: UUID
    number: int


class SyncDay(msgspec.Struct, frozen=True):
    """How many syncs of an account that were requested on a day (UTC) ended with each status."""

    day: date
    completed: int
    partial: int
    failed: int
