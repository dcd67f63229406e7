"""Parse the rows of a list one by one: an unreadable row does not affect others. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from contracts import reasons
from contracts.exchanges.types import Exchange
from contracts.faults import Code, failure
from contracts.reasons import rows_words
from contracts.syncs import UnreadableRow
from contracts.values import Balance
from sync_worker.errors import UnexpectedResponse
from sync_worker.exchanges.lenient_json import Doubled, Number, is_whole
from sync_worker.exchanges.values import ZERO, amount_of
from sync_worker.verdicts import Worth, sendable

# More than one outcome can carry; parsing them takes some tenths of a second.
MAX_ROWS = 20_000
# Exchanges compute in floats: two fields of one amount may differ in their last digit.
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


class Naming(msgspec.Struct, frozen=True):
    """The fields of an exchange's rows that name their asset and, if there is one, their worth in USD."""

    exchange: Exchange
    asset: str
    worth: str = ""

    def asset_of(self, fields: Fields) -> str:
        """Return the asset of a row; raises Unreadable."""
        name = fields.get(self.asset)
        if not isinstance(name, str) or isinstance(name, Number) or not name:
            raise Unreadable(reasons.NO_NAME)
        if not self.exchange.names_asset(name):
            raise Unreadable(reasons.BAD_NAME)
        return name

    def worth_of(self, fields: Fields) -> Decimal | None:
        """Return the worth of a row by its field; raises Unreadable."""
        return amount(fields, self.worth) if self.worth else None


def read_rows(rows: Sequence[Any], read: Callable[[Fields], Row | None], naming: Naming) -> Rows:
    """Parse each row separately.

    Raises UnexpectedResponse if all rows are unreadable, and too_many_assets for a list that no outcome could
    carry.
    """
    said = parse_rows(rows, read, naming)
    times = Counter(each.asset for each in said)
    twice = {asset for asset, count in times.items() if asset and count > 1}
    said = [each for each in said if each.asset not in twice] + _standing_twice(said, twice)
    return rows_of(said)


def parse_rows(
    rows: Sequence[Any], read: Callable[[Fields], Row | None], naming: Naming
) -> list[Row | UnreadableRow]:
    """Parse each row separately, and leave out each row for which `read` returns None.

    Raises too_many_assets for a list that no outcome could carry.
    """
    if len(rows) > MAX_ROWS:
        raise failure(Code.TOO_MANY_ASSETS)
    said = (_read(row, read, naming) for row in rows)
    return [each for each in said if each is not None]


def rows_of(said: Sequence[Row | UnreadableRow]) -> Rows:
    """Return parsed rows by kind; raises UnexpectedResponse if all of them are unreadable."""
    unreadable = tuple(each for each in said if isinstance(each, UnreadableRow))
    if unreadable and len(unreadable) == len(said):
        why = [row.reason for row in unreadable]
        raise UnexpectedResponse(rows_words(why, len(said), len(said)))
    return Rows(tuple(each for each in said if isinstance(each, Row)), unreadable)


def needed(fields: Fields, name: str) -> Decimal:
    """Return an amount that a row must have; raises Unreadable."""
    said = amount(fields, name)
    if said is None:
        raise Unreadable(reasons.MISSING.format(field=name))
    return said


def held_amount(fields: Fields, name: str) -> Decimal:
    """Return an amount that a row must have and that is not negative; raises Unreadable."""
    said = needed(fields, name)
    if said < 0:
        raise Unreadable(reasons.NEGATIVE.format(field=name))
    return said


def amount(fields: Fields, name: str) -> Decimal | None:
    """Return an amount of a row, None if missing or empty; raises Unreadable."""
    try:
        return amount_of(fields.get(name))
    except ValueError as error:
        raise Unreadable(reasons.NO_NUMBER.format(field=name, why=error)) from None


def check_available(available: Decimal | None, total: Decimal, cash: Decimal) -> None:
    """Refuse a row with more available than its total; with a debt, any available amount is allowed."""
    held = max(total, cash)
    if available is not None and total >= 0 and available - held > NOISE * held:
        raise Unreadable(reasons.MORE_AVAILABLE)


def or_none(read: Callable[[Fields], Any], fields: Fields) -> Any:
    """Return the result of a function for a row; None if the row is unreadable."""
    try:
        return read(fields)
    except Unreadable:
        return None


def _read(row: Any, read: Callable[[Fields], Row | None], naming: Naming) -> Row | UnreadableRow | None:
    try:
        return read(_fields(row))
    except Unreadable as fault:
        known = row.once if isinstance(row, Doubled) else row if isinstance(row, dict) else {}
        return UnreadableRow(str(fault), or_none(naming.asset_of, known), or_none(naming.worth_of, known))


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
