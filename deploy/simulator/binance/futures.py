"""USD-M and COIN-M futures, and options.

The answers of /dapi/v1/account, of both lists of position risk and of /eapi/v1/marginAccount have no example
in the documentation that we keep; they have the fields of the exchange's own clients.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from deploy.simulator.binance.question import Question, added, coins, sum_of, text_of
from deploy.simulator.binance.rows import COINM_POSITION, FUTURES_ROW, OPTIONS_ROW, USDM_POSITION, Row

UPDATED = 1625474304765
# In `positions` of /fapi/v3/account and /dapi/v1/account.
IN_ACCOUNT = {
    "fapi": ("positionSide", "isolatedMargin", "notional", "isolatedWallet", "initialMargin", "maintMargin"),
    "dapi": ("positionSide", "entryPrice", "leverage", "isolatedWallet"),
}
# Totals of /fapi/v3/account by the field of the rows that they sum.
TOTALS = {
    "totalInitialMargin": "initialMargin",
    "totalMaintMargin": "maintMargin",
    "totalWalletBalance": "walletBalance",
    "totalUnrealizedProfit": "unrealizedProfit",
    "totalMarginBalance": "marginBalance",
    "totalPositionInitialMargin": "positionInitialMargin",
    "totalOpenOrderInitialMargin": "openOrderInitialMargin",
    "totalCrossWalletBalance": "crossWalletBalance",
    "totalCrossUnPnl": "crossUnPnl",
    "availableBalance": "availableBalance",
    "maxWithdrawAmount": "maxWithdrawAmount",
}


def usdm_account(question: Question) -> Any:
    """Return the USD-M account; its totals are in USDT."""
    rows = _rows(question.account.usdm)
    totals = {name: _summed(question, rows, field) for name, field in TOTALS.items()}
    positions = [_position(USDM_POSITION | row, "fapi") for row in question.account.usdm_positions]
    return totals | {"assets": rows, "positions": positions}


def coinm_account(question: Question) -> Any:
    """Return the COIN-M account."""
    positions = [_position(COINM_POSITION | row, "dapi") for row in question.account.coinm_positions]
    may = {"canDeposit": True, "canTrade": True, "canWithdraw": True, "feeTier": 0, "updateTime": 0}
    return may | {"assets": _rows(question.account.coinm), "positions": positions}


def usdm_balance(question: Question) -> Any:
    """Return the balances of the USD-M account."""
    return [
        _balance(row, {"maxWithdrawAmount": row["maxWithdrawAmount"], "marginAvailable": True})
        for row in _rows(question.account.usdm)
    ]


def coinm_balance(question: Question) -> Any:
    """Return the balances of the COIN-M account."""
    return [
        _balance(row, {"withdrawAvailable": row["maxWithdrawAmount"]})
        for row in _rows(question.account.coinm)
    ]


def usdm_positions(question: Question) -> Any:
    """Return the open USD-M positions."""
    return _wanted(question, [USDM_POSITION | row for row in question.account.usdm_positions])


def coinm_positions(question: Question) -> Any:
    """Return the open COIN-M positions."""
    return _wanted(question, [COINM_POSITION | row for row in question.account.coinm_positions])


def options_account(question: Question) -> Any:
    """Return the options account: `marginBalance` is the amount, `equity` includes positions."""
    rows = [OPTIONS_ROW | row for row in question.account.options]
    return {"asset": rows, "greek": [], "time": question.stamp(question.now)}


def _rows(rows: Iterable[Row]) -> list[Row]:
    return [_row(FUTURES_ROW | row) for row in rows]


def _row(row: Row) -> Row:
    """Complete a row; the available balance is the margin balance less the initial margin."""
    margin = added(row, "walletBalance", "unrealizedProfit")
    available = text_of(margin - Decimal(row["initialMargin"]))
    more = {
        "marginBalance": text_of(margin),
        "crossWalletBalance": row["walletBalance"],
        "crossUnPnl": row["unrealizedProfit"],
        "availableBalance": available,
        "maxWithdrawAmount": available,
        "updateTime": UPDATED,
    }
    return more | row


def _balance(row: Row, more: Row) -> Row:
    fields = ("asset", "crossWalletBalance", "crossUnPnl", "availableBalance", "updateTime")
    kept = {name: row[name] for name in fields}
    return {"accountAlias": "SgsR", "balance": row["walletBalance"]} | kept | more


def _position(row: Row, host: str) -> Row:
    fields = ("symbol", "positionAmt", "updateTime", *IN_ACCOUNT[host])
    return {name: row[name] for name in fields} | {"unrealizedProfit": row["unRealizedProfit"]}


def _wanted(question: Question, rows: list[Row]) -> list[Row]:
    symbol = question.parameters.get("symbol")
    return [row for row in rows if symbol in (None, "", row["symbol"])]


def _summed(question: Question, rows: Iterable[Row], field: str) -> str:
    return coins(sum_of(question.valued(Decimal(row[field]), row["asset"], "USDT") for row in rows))
