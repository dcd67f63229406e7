"""The demonstration invents a year and draws it, and hides neither an outage nor a gap."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.local.chart import HEIGHT, chart_lines
from deploy.local.past import DAYS, GAP, OUTAGE, year_of

TODAY = date(2026, 11, 28)
CONTENT: dict[str, Any] = {
    "wallets": [{"wallet": "trading", "state": "fresh", "as_of": "2026-11-28T10:00:00Z"}],
    "amounts": [
        {"wallet": "trading", "asset": "BTC", "quantity": "0.5"},
        {"wallet": "trading", "asset": "USDT", "quantity": "100.25"},
        {"wallet": "trading", "asset": "ODD", "quantity": "3"},
    ],
    "prices": {},
}
PRICES = {"BTC": Decimal("92000.5"), "USDT": Decimal("0.9998")}


def year() -> list[dict[str, Any]]:
    """Return the closes of a year."""
    return list(year_of(CONTENT, PRICES, TODAY))


def test_each_day_of_the_year_has_a_close_but_those_of_the_gap() -> None:
    """The last one is of yesterday, and each is as of the midnight after its day."""
    closes = year()

    days = [date.fromisoformat(each["day"]) for each in closes]
    assert days == [TODAY - timedelta(days=ago) for ago in range(DAYS, 0, -1) if ago not in GAP]
    assert datetime.fromisoformat(closes[-1]["at"]) == datetime(2026, 11, 28, tzinfo=UTC)


def test_values_are_those_of_their_prices() -> None:
    """An asset without a price has no value, and a dollar is no adventure."""
    for close in year():
        prices = close["content"]["prices"]
        for amount in close["content"]["amounts"]:
            price = prices[amount["asset"]]["value"]
            exact = None if price is None else Decimal(amount["quantity"]) * Decimal(price)
            assert (None if amount["value"] is None else Decimal(amount["value"])) == exact
        assert prices["ODD"]["value"] is None
        assert prices["USDT"]["value"] == "0.9998"


def test_an_outage_is_as_of_its_beginning() -> None:
    """No read of these days succeeded."""
    untils = {each["until"] for each in year() if (TODAY - date.fromisoformat(each["day"])).days in OUTAGE}

    assert len(untils) == 1


def test_a_chart_marks_what_is_stale_or_unknown() -> None:
    """Bars begin at zero; what is not known has no height."""
    points = [
        {"time": f"2026-01-{day:02}T00:00:00Z", "state": state, "total_usd": total}
        for day, (state, total) in enumerate(
            [("unknown", None), ("fresh", "50"), ("stale", "100"), ("fresh", "0.01")], 1
        )
    ]

    lines = chart_lines(points)

    rows = [line.partition("|")[2].ljust(4) for line in lines[:HEIGHT]]
    assert rows[0] == "  \u2591 "
    assert rows[-1] == "?\u2588\u2591\u2588"
    assert sum(row[1] == "\u2588" for row in rows) == HEIGHT // 2
    assert lines[0].startswith("100 USD |")
    assert "2026-01-01" in lines[HEIGHT]
    assert "2026-01-04" in lines[HEIGHT]
    assert chart_lines(points[:1])[HEIGHT - 1].endswith("|?")
