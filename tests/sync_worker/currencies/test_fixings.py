"""The bank's daily list becomes rates of one day; a document that could do more than list them is refused."""

from datetime import UTC, date, datetime

import pytest

from contracts.prices import IndexPrice
from deploy.simulator.bank import RATES, fixed_on, written
from sync_worker.currencies.fixings import MAX_BYTES, parse_fixing
from sync_worker.errors import UnexpectedResponse

FRIDAY = date(2026, 11, 27)
BOMB = """<?xml version="1.0"?>
<!DOCTYPE Cube [<!ENTITY a "1.0866"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
"""
FILE = '<!DOCTYPE Cube SYSTEM "file:///etc/passwd">'


def test_each_currency_has_its_digits() -> None:
    """The rates are units of a currency for 1 EUR, as the bank writes them."""
    fixing = parse_fixing(written(FRIDAY).encode())

    assert fixing.fixed_on == FRIDAY
    assert fixing.rates == tuple(IndexPrice("EUR", name, rate) for name, rate in RATES.items())


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 11, 27, 14, 59, tzinfo=UTC), date(2026, 11, 26)),
        (datetime(2026, 11, 27, 15, 0, tzinfo=UTC), FRIDAY),
        (datetime(2026, 11, 29, 12, 0, tzinfo=UTC), FRIDAY),
        (datetime(2026, 11, 30, 12, 0, tzinfo=UTC), FRIDAY),
        (datetime(2026, 12, 26, 18, 0, tzinfo=UTC), date(2026, 12, 24)),
    ],
)
def test_a_weekend_has_the_last_fixing(now: datetime, day: date) -> None:
    """The simulated bank publishes on working days at 15:00 UTC, and each list names its day."""
    assert parse_fixing(written(fixed_on(now)).encode()).fixed_on == day


def document(old: str, new: str) -> bytes:
    """Return the list of Friday with one part replaced."""
    told = written(FRIDAY)
    assert old in told
    return told.replace(old, new).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b'{"rates": {}}',
        b"<a/>",
        document("1.0866", "-1.0866"),
        document("1.0866", "NaN"),
        document("1.0866", "1e3"),
        document("rate='1.0866'", ""),
        document("'USD'", "'JPY'"),
        document("2026-11-27", "2026-13-27"),
        document("2026-11-27", "yesterday"),
        document(" time='2026-11-27'", ""),
        document("</gesmes:Envelope>", ""),
        BOMB.encode() + written(FRIDAY).partition("\n")[2].replace("1.0866", "&b;").encode(),
        FILE.encode() + written(FRIDAY).partition("\n")[2].encode(),
        written(FRIDAY).encode() + b" " * MAX_BYTES,
    ],
)
def test_what_is_no_list_of_one_day_is_refused(content: bytes) -> None:
    """No part of it counts: not a list with a wrong rate, without an end, with a DTD, or too long."""
    with pytest.raises(UnexpectedResponse):
        parse_fixing(content)
