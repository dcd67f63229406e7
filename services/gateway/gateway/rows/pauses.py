"""Pauses of accounts, whose credential is not used, with their reasons."""

from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.remedies import Standing


class Pause(msgspec.Struct, frozen=True):
    """Why and since when the credential of an account is not used; `rights` are its excess rights.

    `destroyed_at` is set if the secret was destroyed; the account then has a stand-in as its credential.
    """

    account_id: UUID
    credential_id: UUID
    reason: CodeText
    rights: tuple[str, ...]
    paused_at: datetime
    destroyed_at: datetime | None

    def is_stand_in(self, credential_id: UUID) -> bool:
        """Return whether a credential is the stand-in for a destroyed secret."""
        return self.destroyed_at is not None and self.credential_id == credential_id


class Stand(msgspec.Struct, frozen=True):
    """The state of an account: its pause, if one holds, and whether it was deleted."""

    pause: Pause | None = None
    deleted: bool = False

    @property
    def standing(self) -> Standing:
        """Return the state as a Standing."""
        if self.deleted:
            return Standing.DELETED
        if self.pause is None:
            return Standing.ACTIVE
        return Standing.PAUSED if self.pause.destroyed_at is None else Standing.KEYLESS


class Begun(msgspec.Struct, frozen=True):
    """A pause to begin."""

    account_id: UUID
    credential_id: UUID
    reason: str
    rights: tuple[str, ...]


class Key(msgspec.Struct, frozen=True):
    """The key of an account, with its user and start; `reason` and `rights` belong to its pause.

    The key that reads a sub-account is its parent's.
    """

    account_id: UUID
    user_id: UUID
    exchange: str
    exchange_uid: str
    credential_id: UUID
    since: datetime
    reason: CodeText | None
    rights: tuple[str, ...] | None


class Due(msgspec.Struct, frozen=True):
    """A paused key to verify; its account has been paused for `age` seconds.

    Other gateways do not verify it before `claimed_until`.
    """

    account_id: UUID
    credential_id: UUID
    exchange: str
    region: str
    claimed_until: datetime
    age: float = 0.0


class Ended(msgspec.Struct, frozen=True):
    """An account whose pause has ended: its credential was replaced, or deleted with the account."""

    account_id: UUID
    user_id: UUID
    exchange: str
    paused_at: datetime
    deleted_at: datetime | None
