"""Sub-accounts that the key of their master account lists and reads."""

from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.syncs import SubAccount

# The reason of a sub-account that another account of the user contains.
OWN_KEY = "own_key"


class Source(msgspec.Struct, frozen=True):
    """How an account is read: with which credential, as which sub-account, and whether with its list.

    The credential is None if the account, or the parent of a sub-account, was deleted.
    """

    credential_id: UUID | None
    sub_account: SubAccount | None = None
    list_sub_accounts: bool = False


class LeftOut(msgspec.Struct, frozen=True):
    """A listed sub-account without an account of its own here, and the code of the reason."""

    uid: str
    name: str
    reason: str


class ListState(msgspec.Struct, frozen=True):
    """The last list of a master account that was read; `error_code` is set if a newer one was not read.

    `listed_at` is None before the first list.
    """

    account_id: UUID
    listed_at: datetime | None = None
    error_code: CodeText | None = None
    more: bool = False
    unreadable: int = 0
    left_out: tuple[LeftOut, ...] = ()


class Child(msgspec.Struct, frozen=True):
    """The account of a sub-account: its parent, uid and name at the exchange, and since when it is gone."""

    account_id: UUID
    parent_id: UUID
    uid: str
    name: str
    gone_since: datetime | None = None


class Relations(msgspec.Struct, frozen=True):
    """The parent of an account, or the list of its sub-accounts; None without one."""

    child: Child | None = None
    listing: ListState | None = None
