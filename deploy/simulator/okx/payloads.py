"""The rows that the read endpoints answer with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from functools import reduce

from deploy.simulator.okx.accounts import Account, Permission
from deploy.simulator.okx.refusals import Refused
from deploy.simulator.okx.rows import (
    ACCOUNT_BALANCE,
    ACCOUNT_CONFIG,
    FUNDING_ROW,
    TRADING_ROW,
    VALUATION_UNITS,
    Row,
)

MAX_CURRENCIES = 20
SPOT_MODE = "1"
# Wide enough that the product of an amount and a price keeps every digit.
EXACT = Context(prec=60)
VALUATION_DIGITS = Decimal("1E-18")


@dataclass(frozen=True, slots=True)
class Question:
    """What an endpoint is asked: whose account, with which query, at what time and at which prices in USD."""

    account: Account
    query: Mapping[str, str]
    now: datetime
    prices: Mapping[str, Decimal]

    def in_usd(self, amount: str, ccy: str) -> Decimal:
        """Value an amount of an asset exactly."""
        return EXACT.multiply(Decimal(amount), self.prices[ccy])


def milliseconds(moment: datetime) -> str:
    """Write a time as the exchange does."""
    return str(int(moment.timestamp() * 1000))


def account_config(question: Question) -> list[Row]:
    """Say what the key may do and whose it is."""
    account = question.account
    main_uid = account.main_uid or account.uid
    granted = [permission for permission in Permission if permission in account.permissions]
    own = {
        "uid": account.uid,
        "mainUid": main_uid,
        "type": "0" if main_uid == account.uid else "1",
        "acctLv": account.account_level,
        "label": account.name,
        "perm": ",".join(granted),
        "ip": ",".join(account.ip),
    }
    return [ACCOUNT_CONFIG | own]


def account_balance(question: Question) -> list[Row]:
    """Give the trading wallet; its totals are of the whole wallet, whichever currencies are asked for."""
    now = milliseconds(question.now)
    total = _text(_trading_value(question))
    margin = {} if question.account.account_level == SPOT_MODE else {"adjEq": total, "availEq": total}
    details = [
        row | {"eqUsd": _text(question.in_usd(row["eq"], row["ccy"])), "uTime": now}
        for row in _wanted(question.query, question.account.trading, TRADING_ROW)
        if Decimal(row["cashBal"]) or Decimal(row["eq"])
    ]
    return [ACCOUNT_BALANCE | margin | {"totalEq": total, "uTime": now, "details": details}]


def asset_balances(question: Question) -> list[Row]:
    """Give the funding wallet, without what is zero."""
    rows = _wanted(question.query, question.account.funding, FUNDING_ROW)
    return [row for row in rows if Decimal(row["bal"]) > 0]


def asset_valuation(question: Question) -> list[Row]:
    """Value every wallet in one unit, BTC if none is named; the total is the sum of the rounded parts."""
    unit = question.query.get("ccy", "BTC")
    if unit not in VALUATION_UNITS.split():
        raise Refused("51000", "ccy")
    values = {
        "trading": _trading_value(question),
        "funding": _sum(question.in_usd(row["bal"], row["ccy"]) for row in question.account.funding),
        "earn": question.account.earn,
        "classic": Decimal(0),
    }
    parts = {
        wallet: EXACT.quantize(EXACT.divide(value, question.prices[unit]), VALUATION_DIGITS)
        for wallet, value in values.items()
    }
    details = {wallet: _text(part) for wallet, part in parts.items()}
    return [{"totalBal": _text(_sum(parts.values())), "ts": milliseconds(question.now), "details": details}]


def nothing(_question: object) -> list[Row]:
    """Answer what clients ask on their way to the balances and can do without."""
    return []


def feature_unavailable(_question: Question) -> list[Row]:
    """Refuse what only keys with more rights than read come to: nothing is traded or withdrawn here."""
    raise Refused("50062")


def _wanted(query: Mapping[str, str], rows: Iterable[Row], complete: Row) -> list[Row]:
    """Complete the rows, and keep those of the currencies that the query lists, or all of them."""
    wanted = [ccy for ccy in query.get("ccy", "").split(",") if ccy]
    if len(wanted) > MAX_CURRENCIES:
        raise Refused("50025", "ccy", str(MAX_CURRENCIES))
    return [complete | row for row in rows if not wanted or row["ccy"] in wanted]


def _trading_value(question: Question) -> Decimal:
    return _sum(question.in_usd(row["eq"], row["ccy"]) for row in question.account.trading)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(EXACT.add, amounts, Decimal(0))


def _text(amount: Decimal) -> str:
    """Write an amount in full, without an exponent and without zeros at the end."""
    return f"{amount.normalize(EXACT):f}"
