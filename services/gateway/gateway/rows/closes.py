"""Daily closes: what accounts held at the end of a user's day."""

from datetime import date, datetime
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


class Close(msgspec.Struct, frozen=True):
    """What an account held at a time, by the snapshot that held then, with the prices of then."""

    account_id: UUID
    day: date
    at: datetime
    until: datetime
    fresh_seconds: int
    snapshot_id: UUID
    content: Content
