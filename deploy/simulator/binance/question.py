"""The input of an endpoint."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from functools import reduce

from deploy.simulator.binance.accounts import Account
from deploy.simulator.binance.keys import Key
from deploy.simulator.binance.refusals import Refused
from deploy.simulator.binance.rows import Row
from deploy.simulator.types import Upkeep

# Enough digits for the exact product of an amount and a price.
EXACT = Context(prec=60)
DIGITS = Decimal("1E-8")
SIZE, LARGEST_SIZE = 10, 100


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The input of a public endpoint: parameters, time, prices in USD, and the maintenance, if any.

    Times are answered in microseconds if `micro`.
    """

    parameters: Mapping[str, str]
    now: datetime
    prices: Mapping[str, Decimal]
    upkeep: Upkeep | None = None
    micro: bool = False

    def stamp(self, moment: datetime) -> int:
        """Return a time as a response has it."""
        return int(moment.timestamp() * 1_000_000) if self.micro else int(moment.timestamp() * 1000)

    def true(self, parameter: str) -> bool:
        """Return whether a parameter is true; it is false if it is not sent."""
        return self.parameters.get(parameter, "").lower() == "true"


@dataclass(frozen=True, slots=True)
class Question(Inquiry):
    """The input of a signed endpoint, with the key of the request and its account."""

    key: Key | None = None
    shown: Account | None = None

    @property
    def account(self) -> Account:
        """Return the account that is shown."""
        if self.shown is None:
            raise LookupError("a public endpoint shows no account")
        return self.shown

    def valued(self, amount: Decimal, asset: str, unit: str = "BTC") -> Decimal:
        """Return the worth of an amount in a unit, exactly."""
        return EXACT.divide(EXACT.multiply(amount, self.prices[asset]), self.prices[unit])


def page(inquiry: Inquiry, rows: Sequence[Row], number: str, size: str) -> Sequence[Row]:
    """Return the page of rows that two parameters ask for."""
    current, length = (_number(inquiry, name, usual) for name, usual in ((number, 1), (size, SIZE)))
    if length > LARGEST_SIZE:
        raise Refused("-1102", size, str(LARGEST_SIZE), form=1)
    return rows[(current - 1) * length : current * length]


def _number(inquiry: Inquiry, name: str, usual: int) -> int:
    text = inquiry.parameters.get(name, str(usual))
    if not text.isdecimal() or int(text) < 1:
        raise Refused("-1102", name)
    return int(text)


def sum_of(amounts: Iterable[Decimal]) -> Decimal:
    """Sum amounts exactly."""
    return reduce(EXACT.add, amounts, Decimal(0))


def added(row: Mapping[str, str], *fields: str) -> Decimal:
    """Sum fields of a row."""
    return sum_of(Decimal(row[field]) for field in fields)


def text_of(amount: Decimal) -> str:
    """Format an amount in full, without an exponent and trailing zeros."""
    return f"{amount.normalize(EXACT):f}"


def coins(amount: Decimal) -> str:
    """Format a worth with the eight digits of the exchange."""
    return f"{EXACT.quantize(amount, DIGITS):f}"
