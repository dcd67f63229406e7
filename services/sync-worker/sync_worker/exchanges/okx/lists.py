"""Parse the rows of OKX's lists one by one: an unreadable row does not affect others. Pure.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance and its neighbours.
"""

from collections.abc import Mapping
from decimal import Decimal

from contracts import reasons
from contracts.exchanges.okx import OKX
from contracts.values import Balance
from sync_worker.exchanges.rows import (
    Fields,
    Naming,
    Row,
    Unreadable,
    amount,
    check_available,
    needed,
    or_none,
)
from sync_worker.exchanges.values import ZERO

NAMING = Naming(OKX, "ccy", "eqUsd")


def trading_row(fields: Fields) -> Row:
    """Parse one currency of the trading account; raises Unreadable.

    An empty text is treated as a missing field: it does not apply, and is not zero.
    """
    asset, total = NAMING.asset_of(fields), needed(fields, "eq")
    cash, equity, plain = (amount(fields, name) for name in ("cashBal", "availEq", "availBal"))
    available = plain if equity is None else equity
    check_available(available, total, total if cash is None else cash)
    debt, usd = amount(fields, "liab"), amount(fields, "eqUsd")
    # OKX does not say whether `liab` contains the accrued interest, so they stay apart.
    borrowed, interest = _positive(debt), _positive(amount(fields, "interest"))
    balance = Balance(asset, total, available, _locked(fields), borrowed, _in_bots(fields), interest)
    return Row(balance, usd if total else usd or ZERO)


def funding_row(fields: Fields, prices: Mapping[str, Decimal]) -> Row:
    """Parse one currency of the funding account; `prices` are USD per unit; raises Unreadable."""
    asset, total = NAMING.asset_of(fields), needed(fields, "bal")
    available = amount(fields, "availBal")
    check_available(available, total, total)
    usd = prices[asset] * total if asset in prices else None
    return Row(Balance(asset, total, available, _locked(fields)), usd if total else ZERO)


def _positive(debt: Decimal | None) -> Decimal | None:
    """Return a debt as a positive number, because some OKX endpoints write it as a negative one."""
    return None if debt is None else debt.copy_abs()


def _locked(fields: Fields) -> Decimal | None:
    frozen = amount(fields, "frozenBal")
    if frozen is not None and frozen < 0:
        raise Unreadable(reasons.NEGATIVE.format(field="frozenBal"))
    return frozen


def _in_bots(fields: Fields) -> Decimal | None:
    """Return the part of the equity that trading bots hold; None for none, or if it is unreadable."""
    return or_none(lambda row: amount(row, "stgyEq"), fields) or None
