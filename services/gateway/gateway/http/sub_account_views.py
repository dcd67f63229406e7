"""Sub-accounts in API responses: the master of an account, and the last list of a master. Pure."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from contracts.exchanges import EXCHANGES
from contracts.faults import CodeText, fault_of
from contracts.syncs import MAX_SUB_ACCOUNTS
from gateway.accounts.listed import MOST_OF_ONE, TOO_MANY, TOO_MANY_ACCOUNTS, UNUSABLE_NAME
from gateway.limits import MAX_ACCOUNTS
from gateway.rows.sub_accounts import OWN_KEY, Child, ListState

REASONS: Mapping[str, str] = {
    UNUSABLE_NAME: "We can not ask the exchange for it, because its name has other characters than letters, "
    "digits and . _ , -: connect it with a key of its own.",
    OWN_KEY: "It is connected with a key of its own, and counts there.",
    TOO_MANY: f"We add at most {MOST_OF_ONE} sub-accounts of one master: connect it with a key of its own.",
    TOO_MANY_ACCOUNTS: f"You have {MAX_ACCOUNTS} accounts, the most that a user may have: delete one, and "
    "the next sync adds it.",
}
UNKNOWN = "It is not shown as an account."
MORE = f"The exchange lists more than {MAX_SUB_ACCOUNTS} sub-accounts: we read no others."
UNREADABLE = "We could not read {} entries of the list."
NOT_YET = "The next sync of this account lists its sub-accounts."


class MasterView(msgspec.Struct, frozen=True):
    """The master account whose key reads this sub-account, and its name and uid at the exchange.

    `gone_since` is set while the exchange does not list it for that key; its numbers are from before then.
    """

    account_id: UUID
    uid: str
    name: str
    gone_since: datetime | None


class LeftOutView(msgspec.Struct, frozen=True):
    """A sub-account that the exchange lists and that the master's key does not read, with the reason."""

    uid: str
    name: str
    reason: str
    words: str


class SubAccountsView(msgspec.Struct, frozen=True):
    """The last list of sub-accounts: when it was read, null before the first one, and whether it is whole.

    `error_code` says why the newest list was not read; the rest is then of the list before. With `whole`,
    `left_out` and the accounts whose `sub_account_of` names this one are all sub-accounts.
    """

    listed_at: datetime | None
    whole: bool
    error_code: CodeText | None
    words: str | None
    left_out: tuple[LeftOutView, ...]


def master_view(child: Child | None) -> MasterView | None:
    """Return the view of the master of an account; None for one with a key of its own."""
    return None if child is None else MasterView(child.parent_id, child.uid, child.name, child.gone_since)


def sub_accounts_view(listing: ListState | None, exchange: str) -> SubAccountsView | None:
    """Return the view of the last list of a master; None if it lists no sub-accounts."""
    if listing is None or not EXCHANGES[exchange].sub_account_wallets:
        return None
    whole = listing.listed_at is not None and not listing.more and not listing.unreadable
    left_out = tuple(
        LeftOutView(each.uid, each.name, each.reason, REASONS.get(each.reason, UNKNOWN))
        for each in listing.left_out
    )
    fresh = whole and listing.error_code is None
    return SubAccountsView(listing.listed_at, fresh, listing.error_code, _words(listing), left_out)


def _words(listing: ListState) -> str | None:
    """Return the texts of the reasons why the list is not whole; None if it is."""
    said = [
        fault_of(listing.error_code).words if listing.error_code else "",
        NOT_YET if listing.listed_at is None else "",
        MORE if listing.more else "",
        UNREADABLE.format(listing.unreadable) if listing.unreadable else "",
    ]
    return " ".join(filter(None, said)) or None
