"""A simulated European Central Bank: its daily list of reference rates, in XML."""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Self

from deploy.simulator.types import Answer, Request, Upkeep

DAILY = "/stats/eurofxref/eurofxref-daily.xml"
# Units of each currency for 1 EUR; a part of the list.
RATES = {"USD": "1.0866", "JPY": "163.42", "GBP": "0.8372", "CHF": "0.9385", "CZK": "25.213", "PLN": "4.3125"}
# The bank publishes at about 16:00 CET, on working days.
PUBLISHED = timedelta(hours=15)
SATURDAY = 5
CLOSED = {(1, 1), (5, 1), (12, 25), (12, 26)}


class Bank:
    """Answers requests for the daily list; it has no accounts, and refuses nothing but other addresses."""

    key = "ecb"
    regions: tuple[str, ...] = ("eu",)
    hosts: tuple[str, ...] = ("",)
    accounts: Collection[str] = ()
    paths: Collection[str] = (DAILY,)
    public: Collection[str] = (DAILY,)
    refusals: Mapping[str, Collection[int]] = {"404": (404,)}

    def answer(self, request: Request, shown: str | None = None) -> Answer:
        """Answer with the rates of the last working day."""
        del shown
        if (request.method, request.path) != ("GET", DAILY):
            return self.refuse(request, "404", None)
        content = written(fixed_on(request.received_at))
        return Answer(200, content.encode(), {"Content-Type": "text/xml"})

    def refuse(self, request: Request, code: str, status: int | None) -> Answer:
        """Answer that there is nothing."""
        del request
        return Answer(status or int(code), b"<html>not found</html>", {"Content-Type": "text/html"})

    def asker(self, request: Request) -> str | None:
        """Return no account."""
        del request
        return None

    def without_bursts(self) -> Self:
        """Return the same bank, which has no limits."""
        return self

    def maintain(self, region: str, upkeep: Upkeep | None) -> None:
        """Refuse, because the bank has no maintenance."""
        del region, upkeep
        raise ValueError("the bank has no maintenance")


def fixed_on(now: datetime) -> date:
    """Return the last day on which the bank has published by now, in UTC."""
    day = (now - PUBLISHED).date()
    while day.weekday() >= SATURDAY or (day.month, day.day) in CLOSED:
        day -= timedelta(days=1)
    return day


def written(day: date) -> str:
    """Write the list of a day."""
    rows = "".join(f"<Cube currency='{name}' rate='{rate}'/>" for name, rate in RATES.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" '
        'xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">'
        "<gesmes:subject>Reference rates</gesmes:subject>"
        "<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>"
        f"<Cube><Cube time='{day}'>{rows}</Cube></Cube></gesmes:Envelope>"
    )
