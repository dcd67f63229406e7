"""The last reads of wallets."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from contracts.faults import CodeText, EndpointName
from contracts.syncs import TotalCheck
from contracts.values import Balance
from gateway.rows.accounts import Account
from gateway.rows.sub_accounts import ListState
from gateway.rows.syncs import ReadDetail
from gateway.rows.uncovered import StoredPart


class Missing(msgspec.Struct, frozen=True):
    """The assets missing from lists without a confirmation since `since`, each with its first time."""

    since: datetime
    assets: dict[str, datetime]


class HeldList(msgspec.Struct, frozen=True):
    """The newest list of a wallet, with unconfirmed missing assets, and when it was read."""

    as_of: datetime
    balances: tuple[Balance, ...]
    total_check: TotalCheck | None = None
    unreadable_rows: int = 0


class Omitted(msgspec.Struct, frozen=True):
    """When the last sync left a wallet out with a reason, and the exchange's valuation of it, if known.

    `refused_at` is when the exchange itself last refused to open the wallet to the key `credential_id`: syncs
    within a day of it repeat the answer, and do not move the time.
    """

    at: datetime
    valued: Decimal | None = None
    refused_at: datetime | None = None
    credential_id: UUID | None = None


class Detail(ReadDetail, frozen=True):
    """Details of a wallet beside its list; `number` is the number of the sync that reported them.

    `incomplete` is true if the list is the newest one but lacks rows. `unread_parts` are the reads of parts
    that it lacks, `prices` the prices by which the exchange values it. `omitted` is set while syncs leave the
    wallet out with a reason. The inherited fields are of the last read.
    """

    number: int
    incomplete: bool = False
    held: HeldList | None = None
    missing: Missing | None = None
    unread_parts: tuple[EndpointName, ...] = ()
    prices: dict[str, Decimal] = msgspec.field(default_factory=dict)
    omitted: Omitted | None = None


class StoredWallet(msgspec.Struct, frozen=True):
    """A wallet's last good read and, if it is stale, the reason; `as_of` is None if it was never read."""

    wallet: str
    as_of: datetime | None
    total_check: TotalCheck | None
    error_code: CodeText | None
    error: str | None
    sync_number: int = 0
    detail: Any = None

    @property
    def known(self) -> Detail:
        """Return the details; empty ones if another gateway version has written the wallet since.

        Unreadable details also count as empty, because they must not keep an outcome from being recorded.
        """
        with suppress(msgspec.ValidationError):
            detail = msgspec.convert(self.detail, Detail)
            if detail.number == self.sync_number:
                return detail
        return Detail(self.sync_number)


class StoredBalance(Balance, frozen=True, kw_only=True):
    """A balance with its wallet; `stale_as_of` is set if the wallet's last list could not supply it."""

    wallet: str
    stale_as_of: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse an amount that is not finite; the gateway checked its digits when it recorded it."""
        for amount in (self.total, self.available, self.locked, self.borrowed, self.in_bots, self.interest):
            if amount is not None and not amount.is_finite():
                raise ValueError("the stored amount is not finite")


class Place(msgspec.Struct, frozen=True):
    """A wallet of an account."""

    account_id: UUID
    wallet: str


class Held(msgspec.Struct, frozen=True):
    """An account with its stored wallets, and its balances by asset and wallet, as of one moment.

    `uncovered` are its parts that no wallet contains, and `listing` its sub-accounts as its key listed them.
    """

    account: Account
    wallets: list[StoredWallet]
    balances: list[StoredBalance]
    uncovered: list[StoredPart] = []
    listing: ListState | None = None


class Stored(msgspec.Struct, frozen=True):
    """The stored wallets of accounts, and their stored lists."""

    wallets: Mapping[Place, StoredWallet]
    lists: Mapping[Place, list[StoredBalance]]
