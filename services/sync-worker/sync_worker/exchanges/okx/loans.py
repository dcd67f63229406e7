"""Flexible loans, which no wallet contains: the collateral is in no list of balances. Pure.

Source: https://www.okx.com/docs-v5/en/#financial-product-flexible-loan-get-loan-info
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from contracts.exchanges.types import Read
from contracts.faults import Code, Failure
from contracts.uncovered import MAX_ASSETS, AssetAmount, Reason, Uncovered, UncoveredEntry
from contracts.values import check_digits
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.okx.lists import NAMING
from sync_worker.exchanges.parts import EXACT
from sync_worker.exchanges.rows import MAX_ROWS
from sync_worker.exchanges.values import SHAPE, ZERO, amount_of
from sync_worker.verdicts import Fetched, parsed

LOANS = Read("flexible_loans")
PART, NAME = "flexible_loans", "Flexible loans"


def loans_found(fetched: Fetched | Failure, as_of: datetime | None) -> Uncovered | None:
    """Return the part of the loans; `as_of` is the time of the other reads, None if all of them failed.

    Where OKX says that the account can have no loans, none are there: a sub-account, or not activated.
    Returns None if there is nothing to say.
    """
    if isinstance(fetched, Failure) and fetched.code == Code.READ_NOT_ALLOWED:
        return None  # a broker of the release before did not sign the read
    if isinstance(fetched, Failure) and fetched.code == Code.NOT_AVAILABLE:
        return None if as_of is None else Uncovered(PART, NAME, as_of, ())
    try:
        listed = _listed(parsed(_checked, fetched))
    except Failure as fault:
        return Uncovered(PART, NAME, error_code=fault.code)
    assert isinstance(fetched, Fetched)  # noqa: S101 - a Failure was raised by parsed
    return Uncovered(PART, NAME, fetched.as_of, listed)


def _checked(data: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(data, list) or len(data) > MAX_ROWS or not all(isinstance(row, dict) for row in data):
        raise UnexpectedResponse(SHAPE)
    return data


def _listed(rows: Sequence[Mapping[str, Any]]) -> tuple[UncoveredEntry, ...]:
    """Return one entry for all loans, with None for unreadable fields; no entry if all loans are repaid."""
    collateral, debt = _sum(rows, "collateralNotionalUsd"), _sum(rows, "loanNotionalUsd")
    holds, owes = _amounts(rows, "collateralData"), _amounts(rows, "loanData")
    if collateral == debt == ZERO and holds == owes == ():
        return ()
    worth = None if collateral is None or debt is None else EXACT.subtract(collateral, debt)
    return (UncoveredEntry(NAME, Reason.LOAN, _sendable(worth), holds, owes),)


def _sum(rows: Sequence[Mapping[str, Any]], field: str) -> Decimal | None:
    """Return the sum of a field in USD; None if one of its amounts is missing, unreadable or negative."""
    total = ZERO
    for row in rows:
        amount = _held(row, field)
        if amount is None:
            return None
        total = EXACT.add(total, amount)
    return total


def _amounts(rows: Sequence[Mapping[str, Any]], field: str) -> tuple[AssetAmount, ...] | None:
    """Return the sums by asset; None if one of the amounts is unreadable, or if there are too many."""
    sums: dict[str, Decimal] = {}
    for row in rows:
        listed = row.get(field)
        if not isinstance(listed, list):
            return None
        for each in listed:
            named = _named(each)
            if named is None:
                return None
            asset, amount = named
            sums[asset] = EXACT.add(sums.get(asset, ZERO), amount)
    held = {asset: amount for asset, amount in sorted(sums.items()) if amount}
    if len(held) > MAX_ASSETS or not all(map(_is_sendable, held.values())):
        return None
    return tuple(AssetAmount(asset, amount) for asset, amount in held.items())


def _named(each: Any) -> tuple[str, Decimal] | None:
    """Return an asset and its amount; None if one of them is unreadable."""
    try:
        asset = NAMING.asset_of(each) if isinstance(each, dict) else None
    except ValueError:
        return None
    amount = None if asset is None else _held(each, "amt")
    return None if asset is None or amount is None else (asset, amount)


def _held(fields: Mapping[str, Any], name: str) -> Decimal | None:
    try:
        amount = amount_of(fields.get(name))
    except ValueError:
        return None
    return None if amount is None or amount < 0 else amount


def _sendable(worth: Decimal | None) -> Decimal | None:
    return worth if worth is not None and _is_sendable(worth) else None


def _is_sendable(amount: Decimal) -> bool:
    try:
        check_digits(amount)
    except ValueError:
        return False
    return True
