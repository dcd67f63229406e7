"""OKX's answers as balances, totals and facts of a key. Pure; raises UnexpectedResponse for all else.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance and its neighbours.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NoReturn, TypeVar

import msgspec

from contracts.accounts import Verified
from contracts.values import Balance, parse_amount
from sync_worker.errors import UnexpectedResponse
from sync_worker.verdicts import Listed

MAX_TIME_MS = 10**14
# What a body of 8 MiB can hold of values takes twenty times its length to keep; real rows are far from this.
MAX_VALUES = 250_000
NO_PRICES: Mapping[str, Decimal] = MappingProxyType({})

Shape = TypeVar("Shape")
Row = TypeVar("Row")


class Envelope(msgspec.Struct, frozen=True):
    """What every answer of the API has; refusals often come without `data`."""

    code: str
    msg: str = ""
    data: Any = None


class TradingRow(msgspec.Struct, frozen=True, rename="camel"):
    """One currency of the trading account.

    An empty text means that the field does not apply, not zero; a field that is not there at all means that
    the answer is not what it is taken for.
    """

    ccy: str
    eq: str
    eq_usd: str
    avail_eq: str
    avail_bal: str
    frozen_bal: str
    liab: str


class TradingAccount(msgspec.Struct, frozen=True, rename="camel"):
    """The trading account around its currencies, with its own total in USD."""

    total_eq: str
    details: tuple[TradingRow, ...]


class FundingRow(msgspec.Struct, frozen=True, rename="camel"):
    """One currency of the funding account."""

    ccy: str
    bal: str
    avail_bal: str
    frozen_bal: str


class ValuationRow(msgspec.Struct, frozen=True):
    """The exchange's own totals by wallet, in the unit that was asked for."""

    details: dict[str, str]


class ConfigRow(msgspec.Struct, frozen=True, rename="camel"):
    """Whose key it is and what it may do."""

    uid: str
    main_uid: str
    perm: str
    ip: str


class TimeRow(msgspec.Struct, frozen=True):
    """The exchange's clock, milliseconds since the epoch."""

    ts: str


def parse_envelope(body: bytes) -> Envelope | None:
    """Read an answer of the API; None for HTML, for far too many values, and whatever else is none.

    Numbers, which OKX sends as text but for some codes, become text with every digit they came with.
    """
    if sum(body.count(mark) for mark in b"[{,") > MAX_VALUES:
        return None
    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
            parse_int=str,
            parse_float=str,
        )
        return msgspec.convert(document, Envelope)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None


def parse_trading(data: Any) -> Listed:
    """Read the data of /api/v5/account/balance; its worth is known where every row has a price."""
    account = _only(data, TradingAccount)
    prices = [_amount(row.eq_usd) for row in account.details]
    priced = [price for price in prices if price is not None]
    usd = sum(priced, Decimal(0)) if len(priced) == len(prices) else None
    return Listed(_balances(account.details, _trading_balance), usd, _amount(account.total_eq))


def parse_prices(data: Any) -> dict[str, Decimal]:
    """Read from the data of /api/v5/account/balance what a unit of each currency there is worth in USD."""
    worth = [(row.ccy, _amount(row.eq), _amount(row.eq_usd)) for row in _only(data, TradingAccount).details]
    return {ccy: usd / amount for ccy, amount, usd in worth if amount and usd is not None}


def parse_funding(data: Any, prices: Mapping[str, Decimal] = NO_PRICES) -> Listed:
    """Read the data of /api/v5/asset/balances, whose worth is known where every currency has a price."""
    balances = _balances(_convert(data, tuple[FundingRow, ...]), _funding_balance)
    worth = [prices[each.asset] * each.total for each in balances if each.asset in prices]
    usd = sum(worth, Decimal(0)) if len(worth) == len(balances) else None
    return Listed(balances, usd)


def parse_valuation(data: Any) -> dict[str, Decimal]:
    """Read the data of /api/v5/asset/asset-valuation: the total of each wallet that has one."""
    amounts = {wallet: _amount(text) for wallet, text in _only(data, ValuationRow).details.items()}
    return {wallet: amount for wallet, amount in amounts.items() if amount is not None}


def parse_config(data: Any) -> Verified:
    """Read the data of /api/v5/account/config."""
    row = _only(data, ConfigRow)
    if not row.uid or not row.main_uid:
        raise UnexpectedResponse("It does not say whose key it is.")
    return Verified(row.uid, row.main_uid, _listed(row.perm), _listed(row.ip))


def parse_time(data: Any) -> int:
    """Read the data of /api/v5/public/time."""
    text = _only(data, TimeRow).ts
    if not (text.isascii() and text.isdecimal() and int(text) < MAX_TIME_MS):
        raise UnexpectedResponse("The time is none.")
    return int(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice")
    return document


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("not a number")


def _convert(data: Any, shape: type[Shape]) -> Shape:
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError:
        raise UnexpectedResponse("The answer does not have the documented shape.") from None


def _only(data: Any, shape: type[Shape]) -> Shape:
    (row,) = _convert(data, tuple[shape])  # type: ignore[valid-type]  # a shape is a class, made a type here
    return row


def _balances(rows: Sequence[Row], read: Callable[[Row], Balance]) -> tuple[Balance, ...]:
    """Read every row; one that can not be read fails them all, and so does a currency that stands twice."""
    balances = tuple(read(row) for row in rows)
    if len({balance.asset for balance in balances}) != len(balances):
        raise UnexpectedResponse("A currency stands twice.")
    return balances


def _trading_balance(row: TradingRow) -> Balance:
    return Balance(
        asset=_asset(row.ccy),
        total=_needed(row.eq),
        available=_amount(row.avail_eq or row.avail_bal),
        locked=_amount(row.frozen_bal),
        borrowed=_amount(row.liab),
    )


def _funding_balance(row: FundingRow) -> Balance:
    return Balance(
        asset=_asset(row.ccy),
        total=_needed(row.bal),
        available=_amount(row.avail_bal),
        locked=_amount(row.frozen_bal),
    )


def _asset(text: str) -> str:
    if not 0 < len(text) <= 64 or not text.isprintable() or " " in text:  # noqa: PLR2004 - AssetCode's bound
        raise UnexpectedResponse("A currency has no name.")
    return text


def _amount(text: str) -> Decimal | None:
    return _needed(text) if text else None


def _needed(text: str) -> Decimal:
    try:
        return parse_amount(text)
    except ValueError as error:
        raise UnexpectedResponse(f"An amount can not be read: {error}.") from None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
