"""Responses of OKX with rows of its lists, and the connector's reading of them."""

import json
from decimal import Decimal
from typing import Any

from contracts.syncs import WalletRead
from contracts.values import Balance
from deploy.simulator.okx.rows import ACCOUNT_BALANCE, FUNDING_ROW, TRADING_ROW
from sync_worker.exchanges.okx.payloads import parse_envelope, parse_trading
from sync_worker.verdicts import Fetched, Listed, judge
from tests.sync_worker.wording import NOW

BTC = TRADING_ROW | {
    "ccy": "BTC",
    "eq": "1.5",
    "cashBal": "1.5",
    "availBal": "1",
    "frozenBal": "0.5",
    "eqUsd": "96000",
}
ETH = TRADING_ROW | {"ccy": "ETH", "eq": "2", "cashBal": "2", "availBal": "2", "eqUsd": "6400"}
IN_FUNDING = FUNDING_ROW | {"ccy": "BTC", "bal": "2", "availBal": "1.5", "frozenBal": "0.5"}
READ_FIELDS = ("ccy", "eq", "cashBal", "availEq", "availBal", "frozenBal", "liab", "interest", "eqUsd")


def account(*rows: Any, **fields: Any) -> bytes:
    """Return a response with a trading account."""
    return json.dumps({"code": "0", "data": [ACCOUNT_BALANCE | fields | {"details": rows}]}).encode()


def data_of(body: bytes) -> Any:
    """Decode a response as it comes from the wire."""
    envelope = parse_envelope(body)
    assert envelope is not None
    return envelope.data


def trading(*rows: Any, **fields: Any) -> Listed:
    """Read a trading account with these rows."""
    return parse_trading(data_of(account(*rows, **fields)))


def row_with(**fields: Any) -> Balance:
    """Read one row of the trading account."""
    (balance,) = trading(BTC | fields).balances
    return balance


def judged(body: bytes, valued: str | None = None) -> WalletRead:
    """Return the verdict on a trading wallet."""
    return judge("trading", parse_trading, Fetched(NOW, data_of(body)), Decimal(valued) if valued else None)
