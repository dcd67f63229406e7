"""Connected accounts, and their ended syncs."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from gateway.rows.sub_accounts import Source


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


class Lately(msgspec.Struct, frozen=True):
    """The wallets that held nothing when they were read less than six hours ago, and wallets refused lately.

    The exchange refused these to the present key less than a day ago.
    """

    empty: Sequence[str] = ()
    refused: Sequence[str] = ()


class Asked(msgspec.Struct, frozen=True):
    """An account to sync; `now` is the time of the database's clock.

    `cached` is its newest sync, if that completed with its present key a moment ago. `lately` names the
    wallets that a sync may leave unread. `source` is how it is read.
    """

    id: UUID
    exchange: str
    region: str
    credential_id: UUID | None
    now: datetime
    cached: UUID | None = None
    lately: Lately = Lately()
    source: Source | None = None
