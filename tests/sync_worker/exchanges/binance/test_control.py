"""The control total: Binance's valuation of each wallet, and the wallets that no sync reads."""

from decimal import Decimal
from pathlib import Path

import pytest

from contracts.faults import Code, failure
from contracts.uncovered import MAX_LISTED, MAX_NAME
from sync_worker.exchanges.binance.control import (
    control_of,
    in_usd,
    prices_by_wallet,
    prices_in,
    uncovered,
)
from sync_worker.verdicts import Fetched
from tests.sync_worker.exchanges.binance.answers import data_of, documented, fetched
from tests.sync_worker.wording import NOW

PRICE = Decimal(64000)


def row(name: str, balance: str = "0", *, active: bool = True) -> dict[str, object]:
    """Return the row of a wallet."""
    return {"activate": active, "balance": balance, "walletName": name}


def test_every_documented_wallet_is_known_or_named(facts: Path) -> None:
    """Trading bots and copy trading are worth nothing there."""
    read = Fetched(NOW, documented(facts, "sapi_asset_wallet_balance.0"))
    control = control_of(read)

    assert control.valued("usdm_futures", PRICE) == Decimal("45979.36128")
    assert control.valued("spot", PRICE) == 0
    assert control.valued("usdm_futures", None) is None
    assert {each.name for each in control.others} == {"Trading Bots", "Copy Trading"}
    assert uncovered(read, (), PRICE).listed == ()


def test_a_wallet_that_we_do_not_read_is_named_with_its_worth() -> None:
    """In no total, and with at most 64 printable characters."""
    told = uncovered(fetched([row("Trading Bots", "0.5"), row("New\u0000 " + 100 * "x", "1")]), (), PRICE)

    assert told.listed is not None
    assert [(each.name, each.reason, each.worth_usd) for each in told.listed] == [
        ("Trading Bots", "not_read", Decimal(32000)),
        (f"New {(MAX_NAME - 4) * 'x'}", "not_read", Decimal(64000)),
    ]
    assert uncovered(fetched([row("Trading Bots", "x")]), (), PRICE).listed[0].worth_usd is None  # type: ignore[index]


def test_a_refused_wallet_is_named_and_a_zero_says_nothing() -> None:
    """Whether Binance values it for a key without the right is not documented."""
    read = fetched([row("USD\u24c8-M Futures", "0.5"), row("COIN-M Futures"), row("Options")])
    told = uncovered(read, {"usdm_futures", "coinm_futures"}, PRICE)

    assert told.listed is not None
    assert [(each.name, each.reason, each.worth_usd) for each in told.listed] == [
        ("USD-M futures", "refused_right", Decimal(32000)),
        ("COIN-M futures", "refused_right", None),
    ]


def test_a_control_total_that_was_not_read_says_nothing() -> None:
    """All that was found before stays."""
    told = uncovered(failure(Code.RATE_LIMITED), {"options"}, PRICE)

    assert (told.listed, told.as_of, told.error_code) == (None, None, Code.RATE_LIMITED)
    assert uncovered(fetched({"rows": []}), (), PRICE).error_code == Code.UNEXPECTED_RESPONSE
    assert control_of(failure(Code.RATE_LIMITED)).valued("spot", PRICE) is None


def test_a_wallet_that_stands_twice_has_no_known_worth() -> None:
    """Either row may be right."""
    assert control_of(fetched([row("Spot", "1"), row("Spot", "2")])).valued("spot", PRICE) is None


@pytest.mark.parametrize("name", [["Spot"], {"a": "b"}, 7, None])
def test_a_wallet_without_a_readable_name_affects_no_other(name: object) -> None:
    """Its worth stands beside the totals."""
    read = fetched([row("Spot", "1"), {"balance": "0.5", "walletName": name}])
    told = uncovered(read, (), PRICE)

    assert control_of(read).valued("spot", PRICE) == 64000
    assert told.listed is not None
    assert [each.worth_usd for each in told.listed] == [32000]


def test_a_row_that_may_be_less_debts_is_no_price() -> None:
    """Binance does not document whether the valuation of a margin row is."""
    detail = [{"asset": "BNB", "free": "10", "btcValuation": "0.01"}]
    rows = [row(name) | {"assetBalances": detail} for name in ("Cross Margin", "Spot")]

    assert prices_by_wallet(control_of(fetched(rows[:1])).rows)("margin") == {"BTC": 1}
    assert prices_by_wallet(control_of(fetched(rows)).rows)("margin") == {"BTC": 1, "BNB": Decimal("0.001")}
    assert in_usd({}, PRICE) == {"USDT": 1}


@pytest.mark.parametrize("btc", ["0.00000000", "0.00000001", "0.00000999"])
def test_the_price_of_a_small_row_counts_only_in_its_wallet(btc: str) -> None:
    """It is rounded to eight places: a large amount of another wallet would be worth nothing, or twice."""
    dust = [{"asset": "BNB", "free": "0.0000001", "btcValuation": btc}]
    prices = prices_by_wallet({"spot": dust})

    assert prices("spot")["BNB"] == Decimal(btc) / Decimal("0.0000001")
    assert "BNB" not in prices("margin")
    more = [*dust, {"asset": "BNB", "free": "1", "btcValuation": "0.00937500"}]
    assert prices_by_wallet({"spot": dust, "funding": more})("margin")["BNB"] == Decimal("0.009375")
    assert prices_by_wallet({"spot": dust, "funding": more})("spot")["BNB"] == Decimal("0.009375")


def test_a_long_list_is_cut() -> None:
    """A message carries so many."""
    told = uncovered(fetched([row(f"Wallet {number}", "1") for number in range(300)]), (), PRICE)

    assert len(told.listed or ()) == MAX_LISTED


def test_an_asset_has_the_price_of_its_highest_valuation() -> None:
    """Binance rounds valuations, so that the highest one is the most exact; a row without one has none."""
    prices = prices_in(
        data_of(
            [
                {"asset": "ETH", "free": "0.0001", "btcValuation": "0.00000001"},
                {"asset": "ETH", "free": "10", "locked": "10", "btcValuation": "1"},
                {"asset": "DUST", "free": "0.1", "btcValuation": "0.00000000"},
                {"asset": "XRP", "free": "5"},
            ]
        )
    )

    assert prices == {"BTC": 1, "ETH": Decimal("0.05"), "DUST": 0}
    assert in_usd(prices, PRICE)["ETH"] == 3200
    assert in_usd(prices, None) == {}
