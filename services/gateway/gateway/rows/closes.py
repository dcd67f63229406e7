"""Daily closes: what accounts held at the end of a user's day."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from gateway.rows.snapshots import Content


class Clock(msgspec.Struct, frozen=True):
    """The day that is to be closed next, and when it ends; `next_zone` counts from that moment on."""

    user_id: UUID
    zone: str
    next_zone: str | None
    next_day: date
    next_close_at: datetime


class CloseSum(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The sum of the known values of a close in USD, None if none is known, and its doubts.

    `holds` is whether it lists any amount. `as_of` is the time of the oldest amount, `prices_at` the time of
    the oldest price. `wallets` and `prices` are doubts: a wallet or an asset, and its code.
    """

    total: Decimal | None
    holds: bool
    as_of: datetime | None = None
    prices_at: datetime | None = None
    unpriced: tuple[str, ...] = ()
    wallets: tuple[tuple[str, str], ...] = ()
    prices: tuple[tuple[str, str], ...] = ()


class ClosedDay(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A close without its content; `sum` is None if a gateway of an earlier version wrote it."""

    day: date
    at: datetime
    until: datetime
    fresh_seconds: int
    sum: CloseSum | None


class Closed(msgspec.Struct, frozen=True):
    """An account with the closes of some days; `is_carried` if there are earlier ones."""

    account_id: UUID
    name: str
    exchange: str
    created_at: datetime
    is_carried: bool
    days: list[ClosedDay]


class Close(msgspec.Struct, frozen=True):
    """The balances of an account at a time, by the snapshot of that time, with the prices of that time."""

    account_id: UUID
    day: date
    at: datetime
    until: datetime
    fresh_seconds: int
    snapshot_id: UUID
    content: Content
    sum: CloseSum | None = None
