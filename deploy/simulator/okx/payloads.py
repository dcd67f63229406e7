"""The response rows of the read endpoints."""

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
    Row,
)

MAX_CURRENCIES = 20
SPOT_MODE = "1"
# Enough digits for the exact product of an amount and a price.
EXACT = Context(prec=60)


@dataclass(frozen=True, slots=True)
class Question:
    """The input of an endpoint: the account, the query, the time, the prices in USD and the sub-accounts."""

    account: Account
    query: Mapping[str, str]
    now: datetime
    prices: Mapping[str, Decimal]
    sub_accounts: tuple[Account, ...] = ()

    def in_usd(self, amount: str, ccy: str) -> Decimal:
        """Return the exact USD value of an amount."""
        return EXACT.multiply(Decimal(amount), self.prices[ccy])


def milliseconds(moment: datetime) -> str:
    """Format a time as the exchange does, in milliseconds."""
    return str(int(moment.timestamp() * 1000))


def account_config(question: Question) -> list[Row]:
    """Return the rights of the key and its account."""
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
    """Return the trading wallet; its totals cover the whole wallet, whichever currencies are requested."""
    now = milliseconds(question.now)
    total = text_of(trading_value(question))
    margin = {} if question.account.account_level == SPOT_MODE else {"adjEq": total, "availEq": total}
    details = [
        row | {"eqUsd": text_of(question.in_usd(row["eq"], row["ccy"])), "uTime": now}
        for row in _wanted(question.query, question.account.trading, TRADING_ROW)
        if Decimal(row["cashBal"]) or Decimal(row["eq"])
    ]
    return [ACCOUNT_BALANCE | margin | {"totalEq": total, "uTime": now, "details": details}]


def asset_balances(question: Question) -> list[Row]:
    """Return the funding wallet without zero balances."""
    rows = _wanted(question.query, question.account.funding, FUNDING_ROW)
    return [row for row in rows if Decimal(row["bal"]) > 0]


def nothing(_question: object) -> list[Row]:
    """Return no rows, for endpoints that clients call before reading balances but do not need."""
    return []


def feature_unavailable(_question: Question) -> list[Row]:
    """Refuse endpoints that need more rights than read: the simulator has no trading or withdrawals."""
    raise Refused("50062")


def _wanted(query: Mapping[str, str], rows: Iterable[Row], complete: Row) -> list[Row]:
    """Complete the rows, and return those of the currencies in the query, or all without a query."""
    wanted = [ccy for ccy in query.get("ccy", "").split(",") if ccy]
    if len(wanted) > MAX_CURRENCIES:
        raise Refused("50025", "ccy", str(MAX_CURRENCIES))
    return [complete | row for row in rows if not wanted or row["ccy"] in wanted]


def trading_value(question: Question) -> Decimal:
    """Return the worth of the trading wallet in USD."""
    return sum_of(question.in_usd(row["eq"], row["ccy"]) for row in question.account.trading)


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    """Sum amounts exactly."""
    return reduce(EXACT.add, amounts, Decimal(0))


def text_of(amount: Decimal) -> str:
    """Format an amount in full, without an exponent and trailing zeros."""
    return f"{amount.normalize(EXACT):f}"
