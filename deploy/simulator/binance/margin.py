"""Cross and isolated margin, and portfolio margin, which replaces the first.

The right that these endpoints need is not documented; the right to read is assumed to be enough. The refusal
of an account without margin is not documented, either: here the account gets the refusal of a missing
permission.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from deploy.simulator.binance.question import Question, added, coins, sum_of, text_of
from deploy.simulator.binance.refusals import Refused
from deploy.simulator.binance.rows import MARGIN_ROW, PORTFOLIO_ROW, Row

MOST_SYMBOLS = 5
ACCOUNT = {
    "created": True,
    "borrowEnabled": True,
    "marginLevel": "11.64405625",
    "collateralMarginLevel": "3.2",
    "totalOpenOrderLossInUSDT": "0",
    "tradeEnabled": True,
    "transferInEnabled": True,
    "transferOutEnabled": True,
    "accountType": "MARGIN_1",
}
PAIR = {
    "isolatedCreated": True,
    "enabled": True,
    "marginLevel": "0.00000000",
    "marginLevelStatus": "EXCESSIVE",
    "marginRatio": "0.00000000",
    "indexPrice": "10000.00000000",
    "liquidatePrice": "1000.00000000",
    "liquidateRate": "1.00000000",
    "tradeEnabled": True,
}


def margin_account(question: Question) -> Any:
    """Return cross margin."""
    rows = [margin_row(row) for row in question.account.margin]
    collateral = coins(question.valued(_net(question, rows), "BTC", "USDT"))
    return ACCOUNT | _totals(question, rows) | {"TotalCollateralValueInUSDT": collateral, "userAssets": rows}


def isolated_account(question: Question) -> Any:
    """Return isolated margin by pair; only an answer with all pairs has totals."""
    wanted = [symbol for symbol in question.parameters.get("symbols", "").split(",") if symbol]
    if len(wanted) > MOST_SYMBOLS:
        raise Refused("-1102", "symbols", str(MOST_SYMBOLS), form=1)
    pairs = [row for row in question.account.isolated if not wanted or row["symbol"] in wanted]
    sides = [margin_row(row[side]) for row in pairs for side in ("baseAsset", "quoteAsset")]
    assets = [
        PAIR | row | {side: _side(question, row[side]) for side in ("baseAsset", "quoteAsset")}
        for row in pairs
    ]
    return {"assets": assets} | ({} if wanted else _totals(question, sides))


def portfolio_balance(question: Question) -> Any:
    """Return the portfolio margin account by asset; its fields are documented, without an example."""
    wanted = question.parameters.get("asset")
    rows = [PORTFOLIO_ROW | row for row in question.account.portfolio if wanted in (None, "", row["asset"])]
    return rows[0] if wanted and rows else rows


def portfolio_account(question: Question) -> Any:
    """Return the totals of the portfolio margin account; equity is in USD."""
    rows = [PORTFOLIO_ROW | row for row in question.account.portfolio]
    equity = coins(
        sum_of(
            question.valued(
                added(row, "totalWalletBalance", "umUnrealizedPNL", "cmUnrealizedPNL"), row["asset"], "USDC"
            )
            for row in rows
        )
    )
    return {
        "uniMMR": "5167.92171923",
        "accountEquity": equity,
        "actualEquity": equity,
        "accountInitialMargin": "0",
        "accountMaintMargin": "0",
        "accountStatus": "NORMAL",
        "virtualMaxWithdrawAmount": equity,
        "totalAvailableBalance": "",
        "totalMarginOpenLoss": "",
        "updateTime": question.stamp(question.now),
    }


def margin_row(row: Row) -> Row:
    """Complete a row of margin; the net is the free and locked amount less the debt."""
    complete = MARGIN_ROW | row
    debt = added(complete, "borrowed", "interest")
    return complete | {"netAsset": text_of(added(complete, "free", "locked") - debt)}


def _side(question: Question, row: Row) -> Row:
    complete = margin_row(row)
    more = {
        "borrowEnabled": True,
        "netAssetOfBtc": coins(question.valued(Decimal(complete["netAsset"]), row["asset"])),
        "repayEnabled": True,
        "totalAsset": text_of(added(complete, "free", "locked")),
    }
    return complete | more


def _totals(question: Question, rows: Iterable[Row]) -> Row:
    kept = list(rows)
    net = _net(question, kept)
    debt = sum_of(question.valued(added(row, "borrowed", "interest"), row["asset"]) for row in kept)
    return {
        "totalAssetOfBtc": coins(net + debt),
        "totalLiabilityOfBtc": coins(debt),
        "totalNetAssetOfBtc": coins(net),
    }


def _net(question: Question, rows: Iterable[Row]) -> Decimal:
    return sum_of(question.valued(Decimal(row["netAsset"]), row["asset"]) for row in rows)
