"""Parse the reference rates of the European Central Bank. Pure; raises UnexpectedResponse.

Source: https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates. Not shown
against the real host.
"""

import re
from datetime import date
from xml.parsers import expat

import msgspec

from contracts.prices import EUR, IndexPrice
from sync_worker.errors import UnexpectedResponse

# The daily list has about 2 KB.
MAX_BYTES = 64 * 1024
CUBE = "http://www.ecb.int/vocabulary/2002-08-01/eurofxref Cube"
CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)
SHAPE = "The answer does not have the documented shape."


class Fixing(msgspec.Struct, frozen=True):
    """The rates of one day, in units of each currency for 1 EUR."""

    fixed_on: date
    rates: tuple[IndexPrice, ...]


class _Cubes:
    """Collects the days and rates of a document."""

    def __init__(self) -> None:
        self.days: list[str] = []
        self.rates: dict[str, str] = {}

    def start(self, name: str, fields: dict[str, str]) -> None:
        """Take one element."""
        if name != CUBE:
            return
        if "time" in fields:
            self.days.append(fields["time"])
        elif fields:
            currency, rate = fields.get("currency", ""), fields.get("rate", "")
            if currency in self.rates or not CURRENCY.fullmatch(currency) or not RATE.fullmatch(rate):
                raise UnexpectedResponse(SHAPE)
            self.rates[currency] = rate


def parse_fixing(body: bytes) -> Fixing:
    """Parse the daily list: one day with its rates; a currency that is missing has none.

    A document with a DTD is refused, because only a DTD declares entities.
    """
    if len(body) > MAX_BYTES:
        raise UnexpectedResponse(f"The list is longer than {MAX_BYTES} bytes.")
    cubes, parser = _Cubes(), expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = cubes.start
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat takes no names
        (day,) = cubes.days
        fixed_on = date.fromisoformat(day)
    except (expat.ExpatError, ValueError):
        raise UnexpectedResponse(SHAPE) from None
    if not cubes.rates:
        raise UnexpectedResponse(SHAPE)
    return Fixing(fixed_on, tuple(IndexPrice(EUR, name, rate) for name, rate in cubes.rates.items()))


def _refuse(*_declared: object) -> None:
    raise UnexpectedResponse("The list has a document type, which it must not have.")
