"""The exchange's own total of each wallet.

Not documented, and so assumed: the rows are filled for a key without the right for their endpoints; with
portfolio margin, the wallets that it replaces are worth nothing here; `free` of a row of earn, futures and
options is its whole amount.
"""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from deploy.simulator.binance.accounts import Account
from deploy.simulator.binance.margin import margin_row
from deploy.simulator.binance.question import Question, added, coins, sum_of, text_of
from deploy.simulator.binance.refusals import Refused
from deploy.simulator.binance.rows import FUNDING_ROW, SPOT_ROW, Row
from deploy.simulator.binance.wallets import FUNDING, SPOT


class Held(NamedTuple):
    """An asset of a wallet, with the amount that counts and the fields of its row."""

    asset: str
    amount: Decimal
    row: Row


class Wallet(NamedTuple):
    """The assets of a wallet, the product that activates it, and whether portfolio margin replaces it."""

    held: Callable[[Account], Iterable[Held]]
    product: str | None = None
    replaced: bool = False


def wallet_balance(question: Question) -> Any:
    """Return the worth of each wallet in `quoteAsset`, with `needBalanceDetail` asset by asset."""
    unit = question.parameters.get("quoteAsset", "BTC")
    if unit not in question.prices:
        raise Refused("-1121")
    added_wallets = dict.fromkeys(question.account.totals.keys() - WALLETS.keys(), Wallet(_nothing))
    wallets = WALLETS | dict(sorted(added_wallets.items()))
    return [_written(question, name, wallet, unit) for name, wallet in wallets.items()]


def _written(question: Question, name: str, wallet: Wallet, unit: str) -> Row:
    shown = question.account
    replaced = wallet.replaced and "portfolio_margin" in shown.products
    held = [] if replaced else list(wallet.held(shown))
    worth = sum_of(question.valued(each.amount, each.asset, unit) for each in held)
    if name in shown.totals:
        worth = question.valued(Decimal(shown.totals[name]), "BTC", unit)
    row = {
        "activate": wallet.product in {None, *shown.products},
        "balance": coins(worth) if worth else "0",
        "walletName": name,
    }
    detail = {"assetBalances": [_detail(question, each) for each in held]}
    return row | (detail if question.true("needBalanceDetail") else {})


def _detail(question: Question, held: Held) -> Row:
    fields = {name: held.row.get(name, "0") for name in FUNDING}
    worth = coins(question.valued(held.amount, held.asset))
    return {"asset": held.asset, "assetName": held.asset, **fields, "btcValuation": worth}


def _spot(account: Account) -> Iterator[Held]:
    for row in (SPOT_ROW | each for each in account.spot):
        yield Held(row["asset"], added(row, *SPOT), row)


def _funding(account: Account) -> Iterator[Held]:
    for row in (FUNDING_ROW | each for each in account.funding):
        yield Held(row["asset"], added(row, *FUNDING), row)


def _margin(rows: Iterable[Row]) -> Iterator[Held]:
    for row in map(margin_row, rows):
        yield Held(row["asset"], Decimal(row["netAsset"]), row)


def _isolated(account: Account) -> Iterator[Held]:
    return _margin(row[side] for row in account.isolated for side in ("baseAsset", "quoteAsset"))


def _futures(rows: Iterable[Row]) -> Iterator[Held]:
    for row in ({"unrealizedProfit": "0"} | each for each in rows):
        yield _whole(row["asset"], added(row, "walletBalance", "unrealizedProfit"))


def _earn(account: Account) -> Iterator[Held]:
    amounts = [(row["asset"], row["totalAmount"]) for row in account.flexible]
    amounts += [(row["asset"], row["amount"]) for row in (*account.locked, *account.onchain)]
    amounts += [(row["investCoin"], row["subscriptionAmount"]) for row in account.dual]
    return (_whole(asset, Decimal(amount)) for asset, amount in amounts)


def _options(account: Account) -> Iterator[Held]:
    return (_whole(row["asset"], Decimal(row["marginBalance"])) for row in account.options)


def _nothing(_account: Account) -> Iterable[Held]:
    return ()


def _whole(asset: str, amount: Decimal) -> Held:
    return Held(asset, amount, {"free": text_of(amount)})


# By the exchange's names.
WALLETS = {
    "Spot": Wallet(_spot),
    "Funding": Wallet(_funding),
    "Cross Margin": Wallet(lambda account: _margin(account.margin), "margin", replaced=True),
    "Isolated Margin": Wallet(_isolated, "margin"),
    "USDⓈ-M Futures": Wallet(lambda account: _futures(account.usdm), "futures", replaced=True),
    "COIN-M Futures": Wallet(lambda account: _futures(account.coinm), "futures", replaced=True),
    "Earn": Wallet(_earn),
    "Options": Wallet(_options, "options"),
    "Trading Bots": Wallet(_nothing),
    "Copy Trading": Wallet(_nothing),
}
