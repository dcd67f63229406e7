"""Parse the rows of OKX's lists one by one: an unreadable row does not affect others. Pure.

Source: https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance and its neighbours.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from contracts import reasons
from contracts.exchanges.okx import OKX
from contracts.faults import Code, failure
from contracts.reasons import rows_words
from contracts.syncs import UnreadableRow
from contracts.values import Balance, parse_amount
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import Doubled, Number, is_whole
from sync_worker.verdicts import Worth, sendable

# More than one outcome can carry; parsing them takes some tenths of a second.
MAX_ROWS = 20_000
ZERO = Decimal(0)
# OKX computes in floats: two fields of one amount may differ in their last digit.
NOISE = Decimal("1E-12")

Fields = Mapping[str, Any]


class Unreadable(ValueError):
    """The row is unreadable; the text says why and does not repeat the row."""


class Row(msgspec.Struct, frozen=True):
    """A readable row and its worth in USD, None without a price."""

    balance: Balance
    usd: Decimal | None

    @property
    def asset(self) -> str:
        """Return its currency."""
        return self.balance.asset


class Rows(msgspec.Struct, frozen=True):
    """The readable and the unreadable rows of a list."""

    read: tuple[Row, ...]
    unreadable: tuple[UnreadableRow, ...]

    @property
    def balances(self) -> tuple[Balance, ...]:
        """Return the balances of the readable rows."""
        return tuple(row.balance for row in self.read)

    @property
    def worth(self) -> Worth:
        """Return the worth of all rows, as far as it is readable."""
        worths = [*(row.usd for row in self.read), *(row.usd for row in self.unreadable)]
        priced = [usd for usd in worths if usd is not None]
        owed = any(row.usd is None and row.balance.total < 0 for row in self.read)
        return Worth(
            usd=sum(priced, ZERO),
            gross=sum((usd.copy_abs() for usd in priced), ZERO),
            whole=len(priced) == len(worths),
            least=not owed and all(row.usd is not None for row in self.unreadable),
        )


def read_rows(rows: Sequence[Any], read: Callable[[Fields], Row]) -> Rows:
    """Parse each row separately.

    Raises UnexpectedResponse if all rows are unreadable, and too_many_assets for a list that no outcome could
    carry.
    """
    said = parse_rows(rows, read)
    times = Counter(each.asset for each in said)
    twice = {asset for asset, count in times.items() if asset and count > 1}
    said = [each for each in said if each.asset not in twice] + _standing_twice(said, twice)
    return rows_of(said)


def parse_rows(rows: Sequence[Any], read: Callable[[Fields], Row | None]) -> list[Row | UnreadableRow]:
    """Parse each row separately, and leave out those for which `read` returns None.

    Raises too_many_assets for a list that no outcome could carry.
    """
    if len(rows) > MAX_ROWS:
        raise failure(Code.TOO_MANY_ASSETS)
    said = (_read(row, read) for row in rows)
    return [each for each in said if each is not None]


def rows_of(said: Sequence[Row | UnreadableRow]) -> Rows:
    """Return parsed rows by kind; raises UnexpectedResponse if all of them are unreadable."""
    unreadable = tuple(each for each in said if isinstance(each, UnreadableRow))
    if unreadable and len(unreadable) == len(said):
        why = [row.reason for row in unreadable]
        raise UnexpectedResponse(rows_words(why, len(said), len(said)))
    return Rows(tuple(each for each in said if isinstance(each, Row)), unreadable)


def trading_row(fields: Fields) -> Row:
    """Parse one currency of the trading account; raises Unreadable.

    An empty text is treated as a missing field: it does not apply, and is not zero.
    """
    asset, total = asset_of(fields), _needed(fields, "eq")
    cash, equity, plain = (_amount(fields, name) for name in ("cashBal", "availEq", "availBal"))
    available = plain if equity is None else equity
    _check_available(available, total, total if cash is None else cash)
    debt, usd = _amount(fields, "liab"), _amount(fields, "eqUsd")
    # OKX does not say whether `liab` contains the accrued interest, so they stay apart.
    borrowed, interest = _positive(debt), _positive(_amount(fields, "interest"))
    balance = Balance(asset, total, available, _locked(fields), borrowed, _in_bots(fields), interest)
    return Row(balance, usd if total else usd or ZERO)


def funding_row(fields: Fields, prices: Mapping[str, Decimal]) -> Row:
    """Parse one currency of the funding account; `prices` are USD per unit; raises Unreadable."""
    asset, total = asset_of(fields), _needed(fields, "bal")
    available = _amount(fields, "availBal")
    _check_available(available, total, total)
    usd = prices[asset] * total if asset in prices else None
    return Row(Balance(asset, total, available, _locked(fields)), usd if total else ZERO)


def amount_of(value: Any) -> Decimal | None:
    """Parse an amount, None if missing or empty; raises ValueError with a text that does not repeat it."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("not a decimal amount")
    return parse_amount(value)


def _read(row: Any, read: Callable[[Fields], Row | None]) -> Row | UnreadableRow | None:
    try:
        return read(_fields(row))
    except Unreadable as fault:
        known = row.once if isinstance(row, Doubled) else row if isinstance(row, dict) else {}
        return UnreadableRow(str(fault), _or_none(asset_of, known), _or_none(_worth, known))


def _fields(row: Any) -> Fields:
    if isinstance(row, Doubled):
        raise Unreadable(reasons.TWICE)
    if not isinstance(row, dict):
        raise Unreadable(reasons.NO_OBJECT)
    if not is_whole(row):
        raise Unreadable(reasons.NO_JSON)
    return row


def _standing_twice(said: Sequence[Row | UnreadableRow], twice: set[str]) -> list[Row | UnreadableRow]:
    """Return the rows of repeated currencies as unreadable, because we cannot know which row is right.

    Identical rows together have the worth of one of them; the worth of others is unknown.
    """
    copies: dict[str, list[Row | UnreadableRow]] = {}
    for each in said:
        if each.asset is not None and each.asset in twice:
            copies.setdefault(each.asset, []).append(each)
    rows: list[Row | UnreadableRow] = []
    for asset, several in copies.items():
        same = all(each == several[0] for each in several)
        worths = [sendable(several[0].usd) if same else None, *[ZERO if same else None] * (len(several) - 1)]
        rows += [UnreadableRow(reasons.STANDS_TWICE, asset, worth) for worth in worths]
    return rows


def asset_of(fields: Fields) -> str:
    """Return the currency of a row; raises Unreadable."""
    name = fields.get("ccy")
    if not isinstance(name, str) or isinstance(name, Number) or not name:
        raise Unreadable(reasons.NO_NAME)
    if not OKX.names_asset(name):
        raise Unreadable(reasons.BAD_NAME)
    return name


def _needed(fields: Fields, name: str) -> Decimal:
    amount = _amount(fields, name)
    if amount is None:
        raise Unreadable(reasons.MISSING.format(field=name))
    return amount


def held_amount(fields: Fields, name: str) -> Decimal:
    """Return an amount that a row must have and that is not negative; raises Unreadable."""
    amount = _needed(fields, name)
    if amount < 0:
        raise Unreadable(reasons.NEGATIVE.format(field=name))
    return amount


def _amount(fields: Fields, name: str) -> Decimal | None:
    try:
        return amount_of(fields.get(name))
    except ValueError as error:
        raise Unreadable(reasons.NO_NUMBER.format(field=name, why=error)) from None


def _worth(fields: Fields) -> Decimal | None:
    return _amount(fields, "eqUsd")


def _positive(debt: Decimal | None) -> Decimal | None:
    """Return a debt as a positive number, because some OKX endpoints write it as a negative one."""
    return None if debt is None else debt.copy_abs()


def _locked(fields: Fields) -> Decimal | None:
    frozen = _amount(fields, "frozenBal")
    if frozen is not None and frozen < 0:
        raise Unreadable(reasons.NEGATIVE.format(field="frozenBal"))
    return frozen


def _in_bots(fields: Fields) -> Decimal | None:
    """Return the part of the equity that trading bots hold; None for none, or if it is unreadable."""
    return _or_none(lambda row: _amount(row, "stgyEq"), fields) or None


def _check_available(available: Decimal | None, total: Decimal, cash: Decimal) -> None:
    """Refuse a row with more available than its total; with a debt, any available amount is allowed."""
    held = max(total, cash)
    if available is not None and total >= 0 and available - held > NOISE * held:
        raise Unreadable(reasons.MORE_AVAILABLE)


def _or_none(read: Callable[[Fields], Any], fields: Fields) -> Any:
    try:
        return read(fields)
    except Unreadable:
        return None
