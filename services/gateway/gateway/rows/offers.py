"""Key offers, and the stored facts about the key of a credential."""

from datetime import datetime
from uuid import UUID

import msgspec


class Offer(msgspec.Struct, frozen=True):
    """A signing key in the vault that a user may give an exchange; `now` is the time of the database's clock.

    `public_key` is a PEM, None until the vault-broker has answered. `claimed` says that a connect in progress
    uses the offer, and `taken` that an account has its key.
    """

    id: UUID
    user_id: UUID
    exchange: str
    region: str
    kind: str
    public_key: str | None
    fingerprint: str | None
    created_at: datetime
    expires_at: datetime
    now: datetime
    claimed: bool
    taken: bool
    ended: bool

    @property
    def expired(self) -> bool:
        """Return whether its time is over."""
        return self.expires_at <= self.now


class Key(msgspec.Struct, frozen=True):
    """The key of an account: its kind, empty for the first typed one, and the facts that the exchange states.

    `fingerprint` is the SHA-256 of the public key that was offered for it, None for a typed one.
    """

    account_id: UUID
    kind: str
    fingerprint: str | None
    created_at: datetime | None
    expires_at: datetime | None
    ip_bound: bool | None
