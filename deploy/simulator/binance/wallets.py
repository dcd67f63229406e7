"""The key, its account, and the spot and funding wallets.

Not documented, and so assumed: `locked` is the same in both lists of spot, and only getUserAsset shows
`freeze`, `withdrawing` and `ipoable`.
"""

from decimal import Decimal
from typing import Any

from deploy.simulator.binance.accounts import RIGHTS
from deploy.simulator.binance.question import Question, added, coins
from deploy.simulator.binance.rows import FUNDING_ROW, SPOT_ROW, Row

SPOT = ("free", "locked", "freeze", "withdrawing", "ipoable")
FUNDING = ("free", "locked", "freeze", "withdrawing")
ACCOUNT = {
    "makerCommission": 15,
    "takerCommission": 15,
    "buyerCommission": 0,
    "sellerCommission": 0,
    "commissionRates": {
        "maker": "0.00150000",
        "taker": "0.00150000",
        "buyer": "0.00000000",
        "seller": "0.00000000",
    },
    "canTrade": True,
    "canWithdraw": True,
    "canDeposit": True,
    "brokered": False,
    "requireSelfTradePrevention": False,
    "preventSor": False,
    "accountType": "SPOT",
    "permissions": ["SPOT"],
}


def api_restrictions(question: Question) -> Any:
    """Return the rights of the key."""
    key, account = question.key, question.account
    if key is None:
        raise LookupError("a public endpoint has no key")
    expiry = {} if account.expires is None else {"tradingAuthorityExpirationTime": account.expires}
    known = {"ipRestrict": bool(account.ip), "createTime": key.created} | dict.fromkeys(RIGHTS, False)
    return known | dict(key.rights) | expiry


def account_info(question: Question) -> Any:
    """Return which products are enabled."""
    products = question.account.products
    return {
        "vipLevel": 0,
        "isMarginEnabled": "margin" in products,
        "isFutureEnabled": "futures" in products,
        "isOptionsEnabled": "options" in products,
        "isPortfolioMarginRetailEnabled": "portfolio_margin" in products,
    }


def account_status(_question: Question) -> Any:
    """Return the status of the account, which is normal."""
    return {"data": "Normal"}


def account(question: Question) -> Any:
    """Return spot as trading sees it; without `omitZeroBalances` every asset of the exchange is listed."""
    zeros = dict.fromkeys(question.prices, ("0.00000000", "0.00000000"))
    held = {row["asset"]: (row["free"], row["locked"]) for row in spot_rows(question, "account")}
    listed = held if question.true("omitZeroBalances") else zeros | held
    balances = [
        {"asset": asset, "free": free, "locked": locked}
        for asset, (free, locked) in listed.items()
        if not question.true("omitZeroBalances") or Decimal(free) or Decimal(locked)
    ]
    times = {"updateTime": question.stamp(question.now), "uid": question.account.uid}
    return ACCOUNT | times | {"balances": balances}


def user_assets(question: Question) -> Any:
    """Return spot as the user's wallet shows it, positive rows only."""
    return _listed(question, spot_rows(question, "user_assets"), SPOT)


def funding_assets(question: Question) -> Any:
    """Return the funding wallet, positive rows only."""
    return _listed(question, funding_rows(question), FUNDING)


def spot_rows(question: Question, listing: str) -> list[Row]:
    """Return the rows of spot, with flexible positions as LD rows where the account shows them so."""
    rows = [SPOT_ROW | row for row in question.account.spot]
    if listing in question.account.in_spot:
        rows += [
            SPOT_ROW | {"asset": f"LD{row['asset']}", "free": row["totalAmount"]}
            for row in question.account.flexible
        ]
    return rows


def funding_rows(question: Question) -> list[Row]:
    """Return the rows of the funding wallet."""
    return [FUNDING_ROW | row for row in question.account.funding]


def _listed(question: Question, rows: list[Row], fields: tuple[str, ...]) -> list[Row]:
    wanted, valued = question.parameters.get("asset"), question.true("needBtcValuation")
    return [
        row | {"btcValuation": _worth(question, row["asset"], added(row, *fields)) if valued else "0"}
        for row in rows
        if wanted in (None, "", row["asset"]) and added(row, *fields) > 0
    ]


def _worth(question: Question, asset: str, amount: Decimal) -> str:
    """Return a worth in BTC; an LD row is worth its coin."""
    coin = asset if asset in question.prices else asset.removeprefix("LD")
    return coins(question.valued(amount, coin))
