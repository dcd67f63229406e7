"""The simulated exchange lists prices that move, in the documented shape, and that lie on command."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from deploy.simulator.damage import dropped, edited, multiplied
from deploy.simulator.limits import Limiter
from deploy.simulator.okx.accounts import Accounts
from deploy.simulator.okx.exchange import Okx
from deploy.simulator.okx.payloads import milliseconds
from deploy.simulator.types import Request, Upkeep
from tests.deploy.simulator.conftest import NOW

TICKERS = "/api/v5/market/tickers?instType=SPOT"
STATUS = "/api/v5/system/status"
INDEXES = "/api/v5/market/index-tickers?quoteCcy=USD"
Signed = Callable[..., Request]


@pytest.fixture(name="exchange")
def _exchange(accounts: Accounts) -> Okx:
    return Okx(accounts, Limiter(strict=False))


def rows(exchange: Okx, signed: Signed, target: str, **parts: Any) -> dict[str, dict[str, str]]:
    """Return the rows of a list by their pair."""
    answer = exchange.answer(signed(target, headers={}, **parts))
    return {row["instId"]: row for row in answer.body["data"]}


EXAMPLES = {TICKERS: "market_tickers.0", INDEXES: "market_index-tickers.0"}


@pytest.mark.parametrize(("target", "name"), EXAMPLES.items())
def test_a_row_has_the_documented_fields(
    exchange: Okx, signed: Signed, facts: Path, target: str, name: str
) -> None:
    """The fields of each row are those of the exchange's documentation."""
    documented = json.loads((facts / "doc-examples" / "okx" / f"{name}.json").read_text())["data"][0]

    listed = rows(exchange, signed, target)

    assert {frozenset(row) for row in listed.values()} == {frozenset(documented)}


def test_prices_move_by_little_and_agree_with_the_index(exchange: Okx, signed: Signed) -> None:
    """A pair against USDT is the quotient of two indexes, and differs a minute later."""
    now, index = rows(exchange, signed, TICKERS), rows(exchange, signed, INDEXES)
    later = rows(exchange, signed, TICKERS, received_at=NOW + timedelta(minutes=1))

    in_usd = Decimal(now["ETH-USDT"]["last"]) * Decimal(index["USDT-USD"]["idxPx"])
    assert abs(in_usd / Decimal(index["ETH-USD"]["idxPx"]) - 1) < Decimal("0.000001")
    assert now["ETH-USDT"]["last"] != later["ETH-USDT"]["last"]
    assert abs(Decimal(now["ETH-USDT"]["last"]) / Decimal(later["ETH-USDT"]["last"]) - 1) < Decimal("0.01")
    assert {"BTC-USD", "ETH-BTC", "SOL-USDC"} <= now.keys()


def test_a_list_without_its_parameter_is_refused(exchange: Okx, signed: Signed) -> None:
    """The exchange needs the kind of instrument, and the unit of an index."""
    for target in (TICKERS, INDEXES):
        assert exchange.answer(signed(target.partition("?")[0], headers={})).body["code"] == "51000"


def test_a_list_lies_on_command(exchange: Okx, signed: Signed) -> None:
    """Fields of one row are others, a row is gone, or there are many."""
    told = exchange.answer(signed(TICKERS, headers={})).body

    zero = edited(told, "BTC-USDT", {"last": "0"})["data"]
    assert {row["instId"] for row in zero if row["last"] == "0"} == {"BTC-USDT"}
    left = {row["instId"] for row in dropped(told, "BTC-USDT")["data"]}
    assert {row["instId"] for row in told["data"]} - left == {"BTC-USDT"}
    many = multiplied(told, "instId", 2000)["data"]
    assert len({row["instId"] for row in many}) == 2000
    with pytest.raises(LookupError):
        dropped(told, "NONE-USDT")


def test_the_status_has_the_documented_fields_and_only_what_is_announced(
    exchange: Okx, signed: Signed, facts: Path
) -> None:
    """Nothing, a maintenance in its region with its end, or again nothing once that is over."""
    documented = json.loads((facts / "data" / "okx-schemas.json").read_text())["GET /api/v5/system/status"]

    def listed(seconds: float) -> list[dict[str, str]]:
        found = exchange.answer(signed(STATUS, headers={}, received_at=NOW + timedelta(seconds=seconds)))
        told: list[dict[str, str]] = found.body["data"]
        return told

    assert listed(0) == []
    exchange.maintain("global", Upkeep(NOW, NOW + timedelta(seconds=60)))
    (row,) = listed(10)
    assert row.keys() == {each["f"] for each in documented["resp"]}
    assert (row["state"], row["end"]) == ("ongoing", milliseconds(NOW + timedelta(seconds=60)))
    assert listed(60) == []
    exchange.maintain("global", Upkeep(NOW, NOW + timedelta(seconds=600), announced=False))
    assert listed(70) == []


async def test_ccxt_reads_all_prices(simulator: Any) -> None:
    """A foreign client sees the pairs with their last trades."""
    given = {"hostname": f"127.0.0.1:{simulator.port}", "cafile": simulator.address["ca"]}
    async with ccxt.async_support.okx(given) as client:
        read = await client.fetch_tickers()

    assert read["BTC/USDT"]["last"] == pytest.approx(64000, rel=0.01)
    assert read["BTC/USDT"]["bid"] < read["BTC/USDT"]["ask"]
