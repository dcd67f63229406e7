"""Snapshots: what an account holds from one moment to the next change."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from gateway.portfolio.values import PriceRecord
from gateway.rows.balances import StoredWallet


class WalletPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """A wallet as it stood; `as_of` is None if it was never read.

    `disagrees` is true if the exchange's own total contradicted its list.
    """

    wallet: str
    state: str
    as_of: datetime | None = None
    error_code: CodeText | None = None
    disagrees: bool = False


class Amount(msgspec.Struct, frozen=True, omit_defaults=True):
    """An asset in a wallet; `quantity` has the debt subtracted, `value` in USD is None if unpriced.

    `stale_as_of` is set if the wallet's list then could not supply the quantity.
    """

    wallet: str
    asset: str
    quantity: Decimal
    value: Decimal | None = None
    borrowed: Decimal | None = None
    stale_as_of: datetime | None = None


class Content(msgspec.Struct, frozen=True):
    """The wallets and amounts of an account, and the price of each asset that counted then."""

    wallets: tuple[WalletPart, ...]
    amounts: tuple[Amount, ...]
    prices: dict[str, PriceRecord]


class Open(msgspec.Struct, frozen=True):
    """The snapshot of an account that still holds, and the digest of its facts."""

    since: datetime
    facts: UUID


class Begun(msgspec.Struct, frozen=True):
    """A snapshot to begin; the one before it was confirmed until `until` for the last time."""

    account_id: UUID
    user_id: UUID
    id: UUID
    since: datetime
    until: datetime
    fresh_seconds: int
    facts: UUID
    content: Content


class Snapshot(msgspec.Struct, frozen=True):
    """The balances of an account from `since` on, confirmed for the last time at `until`.

    After `fresh_seconds` more it is old, unless a later one has begun. The close of a `day` is one that
    begins at the end of that day. From `changed_at` on a later one held, which was thinned out.
    """

    id: UUID
    since: datetime
    until: datetime
    fresh_seconds: int
    content: Content
    day: date | None = None
    changed_at: datetime | None = None


class Holding(msgspec.Struct, frozen=True):
    """The snapshot of an account that still holds."""

    id: UUID
    since: datetime
    content: Content


class Past(msgspec.Struct, frozen=True):
    """An account with the snapshots that ended, by time, the one that holds, and its stored wallets."""

    account_id: UUID
    name: str
    exchange: str
    created_at: datetime
    interval_seconds: int | None
    ended: list[Snapshot]
    open: Holding | None
    wallets: list[StoredWallet]


class Before(msgspec.Struct, frozen=True):
    """The snapshot before another one, confirmed for the last time at `until`."""

    until: datetime
    content: Content


class Step(msgspec.Struct, frozen=True):
    """A snapshot with the one before it; None for the first of an account."""

    account_id: UUID
    id: UUID
    since: datetime
    content: Content
    before: Before | None


class Place(msgspec.Struct, frozen=True):
    """The place of a snapshot in the list of all accounts, which is ordered by time and id."""

    since: datetime
    id: UUID
