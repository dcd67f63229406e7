"""Simple earn, staking, and the products like them.

Source: the exchange's documentation; where it has no example, the fields of its own clients: on-chain yields,
dual investment, soft staking, staking, BFUSD and RWUSD. We assume that the total of earn contains each
position.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from deploy.simulator.binance.question import Question, coins, page, sum_of, text_of
from deploy.simulator.binance.rows import DUAL_ROW, FLEXIBLE_ROW, LOCKED_ROW, ONCHAIN_ROW, SOFT_ROW, Row
from deploy.simulator.binance.wallets import SPOT

UNITS = ("BTC", "USDT")


def earn_account(question: Question) -> Any:
    """Return the totals of simple earn."""
    account = question.account
    flexible = [(row["asset"], row["totalAmount"]) for row in account.flexible]
    return _totals(question, flexible, [(row["asset"], row["amount"]) for row in account.locked])


def onchain_account(question: Question) -> Any:
    """Return the totals of on-chain yields, all of which are locked."""
    return _totals(question, [], [(row["asset"], row["amount"]) for row in question.account.onchain])


def flexible(question: Question) -> Any:
    """Return a page of flexible positions."""
    rows = [FLEXIBLE_ROW | row for row in question.account.flexible]
    return _paged(question, rows, ("asset", "productId"))


def locked(question: Question) -> Any:
    """Return a page of locked positions."""
    rows = [LOCKED_ROW | row for row in question.account.locked]
    return _paged(question, rows, ("asset", "positionId", "projectId"))


def onchain(question: Question) -> Any:
    """Return a page of on-chain positions."""
    rows = [ONCHAIN_ROW | row for row in question.account.onchain]
    return _paged(question, rows, ("asset", "positionId", "projectId"))


def soft_staking(question: Question) -> Any:
    """Return a page of soft staking, whose coins stay in spot."""
    rows = [SOFT_ROW | row for row in question.account.soft]
    return {"status": bool(rows)} | _paged(question, rows, ("asset",))


def dual_positions(question: Question) -> Any:
    """Return a page of dual investments."""
    rows = [DUAL_ROW | row for row in question.account.dual]
    wanted = question.parameters.get("status")
    found = [row for row in rows if wanted in (None, "", row["purchaseStatus"])]
    return {"list": page(question, found, "pageIndex", "pageSize"), "total": len(found)}


def dual_account(question: Question) -> Any:
    """Return the totals of dual investment."""
    held = [(row["investCoin"], row["subscriptionAmount"]) for row in question.account.dual]
    return {f"totalAmountIn{unit}": _worth(question, held, unit) for unit in UNITS}


def eth_staking(question: Question) -> Any:
    """Return staked ETH: rows of spot, in ETH by their prices."""
    amounts = {coin: _in_spot(question, coin) for coin in ("WBETH", "BETH")}
    held = sum_of(question.valued(amount, coin, "ETH") for coin, amount in amounts.items())
    holdings = {f"{coin.lower()}Amount": text_of(amount) for coin, amount in amounts.items()}
    profit = {"amountFromWBETH": "0", "amountFromBETH": "0"}
    return {
        "holdingInETH": coins(held),
        "holdings": holdings,
        "thirtyDaysProfitInETH": "0",
        "profit": profit,
    }


def sol_staking(question: Question) -> Any:
    """Return staked SOL: a row of spot."""
    amount = _in_spot(question, "BNSOL")
    held = coins(question.valued(amount, "BNSOL", "SOL"))
    return {"bnsolAmount": text_of(amount), "holdingInSOL": held, "thirtyDaysProfitInSOL": "0"}


def bfusd(question: Question) -> Any:
    """Return BFUSD: a row of spot here, which the exchange does not document."""
    return {"bfusdAmount": text_of(_in_spot(question, "BFUSD")), "usdtProfit": "0", "bfusdProfit": "0"}


def rwusd(question: Question) -> Any:
    """Return RWUSD: a row of spot here, which the exchange does not document."""
    return {"rwusdAmount": text_of(_in_spot(question, "RWUSD")), "totalProfit": "0"}


def _paged(question: Question, rows: Sequence[Row], filters: tuple[str, ...]) -> Row:
    wanted = {name: question.parameters[name] for name in filters if question.parameters.get(name)}
    found = [row for row in rows if all(str(row[name]) == text for name, text in wanted.items())]
    return {"rows": page(question, found, "current", "size"), "total": len(found)}


def _totals(question: Question, flexible: list[tuple[str, str]], locked: list[tuple[str, str]]) -> Row:
    parts = {"Amount": [*flexible, *locked], "FlexibleAmount": flexible, "Locked": locked}
    return {
        f"total{part}In{unit}": _worth(question, held, unit) for part, held in parts.items() for unit in UNITS
    }


def _worth(question: Question, held: Iterable[tuple[str, str]], unit: str) -> str:
    return coins(sum_of(question.valued(Decimal(amount), asset, unit) for asset, amount in held))


def _in_spot(question: Question, coin: str) -> Decimal:
    rows = (row for row in question.account.spot if row["asset"] == coin)
    return sum_of(Decimal(row.get(field, "0")) for row in rows for field in SPOT)
