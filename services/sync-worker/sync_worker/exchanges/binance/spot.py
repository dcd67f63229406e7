"""The spot wallet: a list of assets, held against the list of the trading account. Pure.

Some accounts list their flexible earn positions here a second time, as `LD` and the name of the asset.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from contracts import reasons
from contracts.syncs import UnreadableRow
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.binance.lists import NAMING, OF_SPOT, asset_row, listed_in
from sync_worker.exchanges.binance.worths import Worths
from sync_worker.exchanges.rows import Fields, Rows, needed, or_none, read_rows
from sync_worker.exchanges.values import SHAPE, ZERO, fields_of
from sync_worker.verdicts import Fetched, Listed

EARNING = "LD"

Held = Mapping[str, tuple[Decimal, Decimal] | None]


def parse_spot(data: Any, account: Fetched, earning: Collection[str], worths: Worths) -> Listed:
    """Parse the data of getUserAsset without what `earning`, the assets of flexible positions, counts.

    An asset of which the trading account tells another amount is unreadable, because we cannot know which
    of both lists is right.
    """
    rows = read_rows(listed_in(data), partial(asset_row, parts=OF_SPOT, worths=worths), NAMING)
    differing = _differing(_held_in(listed_in(data)), _held_in(_balances(account.data)))
    kept = tuple(row for row in rows.read if row.asset not in differing)
    known = {row.asset for row in rows.unreadable}
    told = tuple(
        UnreadableRow(reasons.LISTS_DIFFER, asset) for asset in sorted(differing) if asset not in known
    )
    both = _without(Rows(kept, (*rows.unreadable, *told)), earning)
    return Listed(both.balances, both.worth, unreadable=both.unreadable)


def held_in_earn(data: Any) -> bool:
    """Return whether a list may hold flexible earn positions."""
    rows = data if isinstance(data, list) else []
    names = (fields_of(row).get("asset") for row in rows)
    return any(isinstance(name, str) and name.startswith(EARNING) for name in names)


def _without(rows: Rows, earning: Collection[str]) -> Rows:
    return Rows(
        tuple(row for row in rows.read if not _is_earned(row.asset, earning)),
        tuple(row for row in rows.unreadable if not _is_earned(row.asset, earning)),
    )


def _is_earned(asset: str | None, earning: Collection[str]) -> bool:
    return asset is not None and asset.startswith(EARNING) and asset.removeprefix(EARNING) in earning


def _balances(account: Any) -> list[Any]:
    balances = fields_of(account).get("balances")
    if not isinstance(balances, list):
        raise UnexpectedResponse(SHAPE)
    return balances


def _held_in(rows: Any) -> Held:
    """Return the free and the locked amount by asset, None for those of a row that can not be read."""
    held: dict[str, tuple[Decimal, Decimal] | None] = {}
    for row in rows:
        fields = fields_of(row)
        asset = or_none(NAMING.asset_of, fields)
        if asset is not None:
            held[asset] = or_none(_free_and_locked, fields) if asset not in held else None
    return held


def _free_and_locked(fields: Fields) -> tuple[Decimal, Decimal]:
    return needed(fields, "free"), needed(fields, "locked")


def _differing(one: Held, other: Held) -> set[str]:
    """Return the assets of which two lists tell other amounts; nothing of one counts as zero."""
    nothing = (ZERO, ZERO)
    return {
        asset
        for asset in one.keys() | other.keys()
        if (one.get(asset, nothing)) is None or one.get(asset, nothing) != other.get(asset, nothing)
    }
