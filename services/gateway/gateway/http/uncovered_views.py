"""Wallets, products and sub-accounts that no total contains, in API responses.

Amounts are decimal strings, times are UTC.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from contracts.faults import CodeText
from contracts.uncovered import AssetAmount
from contracts.values import AmountText, amount_text
from gateway.portfolio.uncovered import NotCovered


class AssetAmountView(msgspec.Struct, frozen=True):
    """An amount of an asset."""

    asset: str
    amount: AmountText


class UncoveredView(msgspec.Struct, frozen=True):
    """A wallet, product or sub-account that exists and that no total contains.

    `worth_usd` is null if it is unknown, never zero; the debts are subtracted. `code` is the reason, which
    `reason` explains, and `next_action` is the next step. `wallet` is set for a wallet of the exchange, or a
    part of one. `as_of` is when it was found, null if it was never read. `holds` and `owes` are null if they
    are unknown. A later version may send other codes.
    """

    account_id: UUID
    name: str
    code: CodeText
    wallet: str | None
    worth_usd: AmountText | None
    reason: str
    next_action: str
    as_of: datetime | None
    holds: tuple[AssetAmountView, ...] | None
    owes: tuple[AssetAmountView, ...] | None


def uncovered_view(account_id: UUID, of: NotCovered) -> UncoveredView:
    """Return the view of an entry that no total contains."""
    return UncoveredView(**uncovered_fields(account_id, of))  # type: ignore[arg-type] # its fields


def uncovered_fields(account_id: UUID, of: NotCovered) -> dict[str, object]:
    """Return the fields of the view."""
    return {
        "account_id": account_id,
        "name": of.name,
        "code": of.code,
        "wallet": of.wallet,
        "worth_usd": None if of.worth is None else amount_text(of.worth),
        "reason": of.words,
        "next_action": of.step,
        "as_of": of.as_of,
        "holds": _amounts(of.holds),
        "owes": _amounts(of.owes),
    }


def _amounts(of: tuple[AssetAmount, ...] | None) -> tuple[AssetAmountView, ...] | None:
    if of is None:
        return None
    return tuple(AssetAmountView(each.asset, amount_text(each.amount)) for each in of)
