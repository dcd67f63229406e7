"""Connected accounts, and their ended syncs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText


class Account(msgspec.Struct, frozen=True):
    """An account as stored; a deleted one has no credential."""

    id: UUID
    user_id: UUID
    exchange: str
    region: str
    name: str
    credential_id: UUID | None
    exchange_uid: str
    master_uid: str
    permissions: Sequence[str]
    ip_bound: bool
    api_key_hint: str
    created_at: datetime
    deleted_at: datetime | None
    last_synced_at: datetime | None
    last_attempt_at: datetime | None
    last_error_code: CodeText | None


class Asked(msgspec.Struct, frozen=True):
    """An account that its user asked to sync, locked, and what may refuse the request.

    `used` and `seconds` are the user's counter with this request, `address_used` that of the client's address
    without it. `now` is the time of the transaction.
    """

    id: UUID
    exchange: str
    region: str
    credential_id: UUID | None
    paused: bool
    exchange_paused: bool
    used: int
    seconds: float
    address_used: int
    now: datetime
