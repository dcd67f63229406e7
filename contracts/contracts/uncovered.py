"""Wallets, products and sub-accounts that exist and that no sync reads, named beside totals."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from contracts.faults import CodeText
from contracts.values import AssetCode, AwareTime, check_digits

MAX_NAME = 64
MAX_PARTS = 16
MAX_LISTED = 100
MAX_ASSETS = 50

# A name of ours or of the exchange; the gateway shows only printable characters of it.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
PartKey = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")]


class Reason(StrEnum):
    """The reason why no total contains an entry; an outcome of a later version may have another one."""

    NOT_READ = "not_read"
    REFUSED_RIGHT = "refused_right"
    LOAN = "loan"
    UNLISTED_WORTH = "unlisted_worth"
    UNREADABLE = "unreadable"
    NEEDS_OWN_KEY = "needs_own_key"
    SUB_ACCOUNT = "sub_account"
    OTHER = "other"


class Told(msgspec.Struct, frozen=True):
    """The texts of a reason for users: an explanation, and the next step."""

    words: str
    step: str


REASONS: Mapping[str, Told] = {
    Reason.NOT_READ: Told("We do not read this yet. Its contents are unknown.", "Look at the exchange."),
    Reason.REFUSED_RIGHT: Told(
        "Only a right that we refuse, such as one to trade, could open this wallet. If a worth "
        "is shown, it comes from the exchange's own total.",
        "Leave the key as it is, and look at the exchange.",
    ),
    Reason.LOAN: Told(
        "No wallet lists the collateral of loans. The worth is the collateral less the loans.",
        "Compare it with the loans at the exchange, and add it to the total yourself.",
    ),
    Reason.UNLISTED_WORTH: Told(
        "The exchange values this wallet higher than the sum of its lists. A product that no list shows, "
        "such as a fixed term, may hold the rest.",
        "Look at the wallet at the exchange.",
    ),
    Reason.UNREADABLE: Told(
        "We could not read this. We do not know whether you hold something there.",
        "Sync the account again. If the read fails again, look at the exchange.",
    ),
    Reason.NEEDS_OWN_KEY: Told(
        "The key of a master account can not read this wallet of a sub-account. Its contents are unknown.",
        "To see it, connect the sub-account with a key of its own.",
    ),
    Reason.SUB_ACCOUNT: Told(
        "The exchange lists this sub-account, and no account here contains it. Its contents are unknown.",
        "`sub_accounts` of its master account says why. Connect it with a key of its own.",
    ),
    Reason.OTHER: Told("We do not read this. Its contents are unknown.", "Look at the exchange."),
}


class AssetAmount(msgspec.Struct, frozen=True):
    """An amount of an asset, in units of the asset and never negative."""

    asset: AssetCode
    amount: Decimal

    def __post_init__(self) -> None:
        check_digits(self.amount)


Amounts = Annotated[tuple[AssetAmount, ...], msgspec.Meta(max_length=MAX_ASSETS)]


class UncoveredEntry(msgspec.Struct, frozen=True):
    """A product, wallet or sub-account that no total contains, its worth in USD, and its assets and debts.

    `worth_usd` is None if it is unknown, `holds` and `owes` are None if they are unknown or too long.
    """

    name: Name
    reason: CodeText
    worth_usd: Decimal | None = None
    holds: Amounts | None = None
    owes: Amounts | None = None

    def __post_init__(self) -> None:
        if self.worth_usd is not None:
            check_digits(self.worth_usd)


class Uncovered(msgspec.Struct, frozen=True):
    """The entries of one kind that a sync found in an account and that no total contains.

    `part` is its key and `name` the name for users. `listed` is None if the worker could not read the
    part, with the fault `error_code`; the gateway then keeps the stored entries. An empty list says that the
    part was empty at `as_of`.
    """

    part: PartKey
    name: Name
    as_of: AwareTime | None = None
    listed: Annotated[tuple[UncoveredEntry, ...], msgspec.Meta(max_length=MAX_LISTED)] | None = None
    error_code: CodeText | None = None

    def __post_init__(self) -> None:
        if (self.listed is None) != (self.as_of is None):
            raise ValueError("a part that a worker read has a time")


# Empty if a sync read no part; the gateway keeps a part that the outcome does not name.
Parts = Annotated[tuple[Uncovered, ...], msgspec.Meta(max_length=MAX_PARTS)]


def told(reason: str) -> Told:
    """Return the texts of a reason; a reason of a later version has general texts."""
    return REASONS.get(reason, REASONS[Reason.OTHER])
