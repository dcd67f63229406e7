"""The schedule: when each account is synced next without a person."""

from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from gateway.rows.accounts import Asked


class Due(Asked, frozen=True, kw_only=True):
    """An account that is due, with its interval in seconds.

    `closed` is true while the account is paused, or an operator has paused its exchange or disabled its user:
    then no sync is opened.
    """

    user_id: UUID
    interval_seconds: int
    closed: bool


class Pace(msgspec.Struct, frozen=True):
    """How often an account is synced, and how many scheduled syncs in a row have failed.

    `interval_seconds` is None if the user has turned the schedule off. `stopped` is the code of a fault of
    the key, until the key is repaired.
    """

    account_id: UUID
    interval_seconds: int | None
    failures: int
    stopped: CodeText | None


class Schedule(Pace, frozen=True, kw_only=True):
    """The schedule of an account: `next_at` is None if it is off or stopped.

    `exchange_paused` is true while an operator has paused the exchange.
    """

    next_at: datetime | None
    exchange_paused: bool


class Move(msgspec.Struct, frozen=True):
    """A change of a schedule by an outcome: the next sync is due in `wait` seconds, or not at all (None).

    With `sooner`, a due time that is earlier stays.
    """

    account_id: UUID
    failures: int
    stopped: CodeText | None
    wait: float | None
    sooner: bool = False


class Unsynced(msgspec.Struct, frozen=True):
    """An account without a schedule, whose key is to be verified.

    `synced` is true if a sync completed within the last day, `closed` while it or its exchange is paused, or
    its user is disabled.
    """

    account_id: UUID
    credential_id: UUID | None
    exchange: str
    region: str
    synced: bool
    closed: bool
