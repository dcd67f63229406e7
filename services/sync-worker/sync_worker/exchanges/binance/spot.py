"""The verdict on Binance's spot wallet, from the user's assets and the account. Pure.

Two reads list it: only the first has the parts beside `free` and `locked`, and only the second may have rows
of Simple Earn (`LD` and the name of the asset).
"""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from contracts.faults import Failure
from contracts.syncs import READ, TotalCheck, WalletRead
from contracts.values import Balance
from sync_worker.exchanges.binance.lists import NAMING, Prices, listed, parse_list, priced, rows_in, spot_row
from sync_worker.exchanges.parts import EXACT
from sync_worker.exchanges.rows import NOISE, Fields, Row, Rows, held_amount, read_rows
from sync_worker.exchanges.values import ZERO
from sync_worker.verdicts import Fetched, Listed, judge

SPOT = "spot"
# The name of an asset in flexible Simple Earn as a row of the spot wallet.
FLEXIBLE = "LD"


class Around(msgspec.Struct, frozen=True):
    """Beside the list: the account, the assets in flexible earn, prices in USD, and the control total.

    `flexible` is empty if earn was not read.
    """

    account: Fetched | Failure
    flexible: Collection[str] = ()
    prices: Prices = {}
    valued: Decimal | None = None


def judge_spot(assets: Fetched | Failure, around: Around) -> WalletRead:
    """Return the verdict on the spot wallet.

    An amount in which the two lists differ is shown, and the check says that they disagree.
    """
    held = _held(around.account)
    told = judge(SPOT, lambda data: _spot(data, held, around), assets, around.valued)
    if told.verdict not in READ or held is None or _agree(told, held, around.flexible):
        return told
    return msgspec.structs.replace(told, total_check=TotalCheck.DISAGREES)


def counts_in_earn(asset: str, flexible: Collection[str]) -> bool:
    """Return whether a row of the spot wallet is an asset in flexible earn, which counts there."""
    return asset.startswith(FLEXIBLE) and asset[len(FLEXIBLE) :] in flexible


def _spot(data: Any, held: Mapping[str, Balance] | None, around: Around) -> Listed:
    """Return the list, with the rows that only the account has, and without those that count in earn."""
    told = parse_list(data, spot_row, around.prices)
    known = {balance.asset for balance in told.balances} | {row.asset for row in told.unreadable}
    more = [balance for asset, balance in (held or {}).items() if asset not in known]
    balances = [each for each in (*told.balances, *more) if not counts_in_earn(each.asset, around.flexible)]
    return listed(Rows(tuple(priced(each, around.prices) for each in balances), told.unreadable))


def _held(account: Fetched | Failure) -> dict[str, Balance] | None:
    """Return what the account holds by asset; None if it is unreadable."""
    if isinstance(account, Failure):
        return None
    try:
        rows: Sequence[Row] = read_rows(rows_in(account.data, "balances"), _account_row, NAMING).read
    except (Failure, ValueError, ArithmeticError):
        return None
    return {row.asset: row.balance for row in rows if row.balance.total}


def _account_row(fields: Fields) -> Row:
    free, locked = held_amount(fields, "free"), held_amount(fields, "locked")
    return Row(Balance(NAMING.asset_of(fields), EXACT.add(free, locked), free, locked), None)


def _agree(told: WalletRead, held: Mapping[str, Balance], flexible: Collection[str]) -> bool:
    """Return whether both lists have the same available amounts, and nothing that only one has.

    The first list has more parts, so that its total may be higher.
    """
    mine = {each.asset: each for each in told.balances or ()}
    unread = {row.asset for row in told.unreadable}
    assets = {asset for asset in (*mine, *held) if not counts_in_earn(asset, flexible)} - unread
    return all(_same(mine.get(asset), held.get(asset)) for asset in assets)


def _same(mine: Balance | None, other: Balance | None) -> bool:
    free = (mine.available or ZERO) if mine else ZERO
    theirs = (other.available or ZERO) if other else ZERO
    total, least = mine.total if mine else ZERO, other.total if other else ZERO
    return abs(EXACT.subtract(free, theirs)) <= NOISE * max(free, theirs) and total >= least
