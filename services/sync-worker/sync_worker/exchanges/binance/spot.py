"""The verdict on Binance's spot wallet, from the user's assets and the account. Pure.

Two reads list it: only the first has the parts beside `free` and `locked`. Some accounts list their flexible
Simple Earn here a second time, as `LD` and the name of the asset.
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from contracts import reasons
from contracts.faults import Failure
from contracts.syncs import UnreadableRow, WalletRead
from contracts.values import Balance
from sync_worker.exchanges.binance.lists import NAMING, Prices, listed, parse_list, priced, rows_in, spot_row
from sync_worker.exchanges.parts import EXACT
from sync_worker.exchanges.rows import Fields, Rows, held_amount, or_none
from sync_worker.exchanges.values import ZERO, fields_of
from sync_worker.verdicts import Fetched, Listed, judge, unread

SPOT = "spot"
# The name of an asset in flexible Simple Earn as a row of the spot wallet.
FLEXIBLE = "LD"
NOTHING = (ZERO, ZERO)

# The free and the locked amount by asset, None for a row that can not be read.
Held = Mapping[str, tuple[Decimal, Decimal] | None]


class Around(msgspec.Struct, frozen=True):
    """Beside the list: the account, the assets in flexible earn, prices in USD, and the control total.

    `flexible` is empty if earn was not read.
    """

    account: Fetched | Failure
    flexible: Collection[str] = ()
    prices: Prices = {}
    valued: Decimal | None = None


def judge_spot(assets: Fetched | Failure, around: Around) -> WalletRead:
    """Return the verdict on the spot wallet, which both of its reads make.

    An asset in which the two lists differ is unreadable, because we cannot know which of them is right.
    """
    if isinstance(around.account, Failure):
        return unread(SPOT, around.account)
    account = around.account.data
    return judge(SPOT, lambda data: _spot(data, account, around), assets, around.valued)


def differs(assets: Fetched | Failure, account: Fetched | Failure) -> bool:
    """Return whether both lists were read and differ, perhaps because of a trade between the two reads."""
    if isinstance(assets, Failure) or isinstance(account, Failure):
        return False
    try:
        return bool(_differing(assets.data, account.data))
    except Failure:
        return False


def lists_earn(*lists: Fetched | Failure) -> bool:
    """Return whether a list of the spot wallet may have rows of flexible earn."""
    rows = [row for each in lists if isinstance(each, Fetched) for row in _rows(each.data)]
    names = (fields_of(row).get(NAMING.asset) for row in rows)
    return any(isinstance(name, str) and name.startswith(FLEXIBLE) for name in names)


def counts_in_earn(asset: str | None, flexible: Collection[str]) -> bool:
    """Return whether a row of the spot wallet is an asset in flexible earn, which counts there."""
    return asset is not None and asset.startswith(FLEXIBLE) and asset[len(FLEXIBLE) :] in flexible


def _spot(data: Any, account: Any, around: Around) -> Listed:
    """Return the list without the rows that count in earn, and with the rows that only the account has."""
    told = parse_list(data, spot_row, around.prices)
    differing = _differing(data, account)
    unreadable = {row.asset for row in told.unreadable}
    rows = [priced(each, around.prices) for each in told.balances if each.asset not in differing]
    rows += [priced(each, around.prices) for each in _earning_rows(data, account)]
    unread_rows = [UnreadableRow(reasons.LISTS_DIFFER, asset) for asset in sorted(differing - unreadable)]
    return listed(
        Rows(
            tuple(row for row in rows if not counts_in_earn(row.asset, around.flexible)),
            tuple(
                row
                for row in (*told.unreadable, *unread_rows)
                if not counts_in_earn(row.asset, around.flexible)
            ),
        )
    )


def _earning_rows(data: Any, account: Any) -> list[Balance]:
    """Return the rows of flexible earn that only the account has, which Binance says of some accounts."""
    known = _held(rows_in(data))
    return [
        Balance(asset, EXACT.add(*amounts), *amounts)
        for asset, amounts in _held(rows_in(account, "balances")).items()
        if asset.startswith(FLEXIBLE) and asset not in known and amounts is not None and amounts != NOTHING
    ]


def _differing(data: Any, account: Any) -> set[str]:
    """Return the assets in which two lists differ; a missing row equals a row of zero."""
    one, other = _held(rows_in(data)), _held(rows_in(account, "balances"))
    both = {asset for asset in one.keys() | other.keys() if not _only_in_account(asset, one)}
    more = {asset for asset, amounts in other.items() if _only_in_account(asset, one) and amounts is None}
    return more | {
        asset
        for asset in both
        if one.get(asset, NOTHING) is None or one.get(asset, NOTHING) != other.get(asset, NOTHING)
    }


def _only_in_account(asset: str, assets: Held) -> bool:
    return asset.startswith(FLEXIBLE) and asset not in assets


def _held(rows: Sequence[Any]) -> Held:
    """Return the free and the locked amount of each asset; None if the asset has two rows."""
    held: dict[str, tuple[Decimal, Decimal] | None] = {}
    for row in rows:
        fields = fields_of(row)
        asset = or_none(NAMING.asset_of, fields)
        if asset is not None:
            held[asset] = None if asset in held else or_none(_amounts, fields)
    return held


def _amounts(fields: Fields) -> tuple[Decimal, Decimal]:
    return held_amount(fields, "free"), held_amount(fields, "locked")


def _rows(data: Any) -> Sequence[Any]:
    rows = data.get("balances") if isinstance(data, dict) else data
    return rows if isinstance(rows, list) else ()
