"""OKX's open positions are information beside the balances, and cost no balance when they are unreadable."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contracts.faults import Code, Failure, failure
from contracts.positions import MAX_POSITIONS, Position
from contracts.syncs import Verdict, WalletRead
from contracts.values import Balance
from deploy.simulator.okx.rows import POSITION
from sync_worker.exchanges.okx.payloads import parse_envelope, parse_trading
from sync_worker.exchanges.okx.positions import with_positions
from sync_worker.verdicts import Fetched
from tests.sync_worker.scripted import TRADING_ROW
from tests.sync_worker.wording import NOW, complete

TRADING = complete("trading", Balance("USDT", Decimal(100)))
SWAP = POSITION | {
    "instId": "ETH-USDT-SWAP",
    "instType": "SWAP",
    "mgnMode": "cross",
    "posId": "7",
    "ccy": "USDT",
    "pos": "-12",
    "avgPx": "3250.5",
    "upl": "60.6",
}


def read(*rows: Any) -> WalletRead:
    """Return the trading wallet with positions from these rows."""
    return with_positions(TRADING, Fetched(NOW, list(rows)))


def one(**fields: str) -> Position:
    """Return the position of a swap with other fields."""
    (position,) = read(SWAP | fields).positions or ()
    return position


def test_the_documented_position_is_read(facts: Path) -> None:
    """An isolated margin position in its base currency is long, to the last digit."""
    envelope = parse_envelope((facts / "doc-examples" / "okx" / "account_positions.0.json").read_bytes())
    assert envelope is not None

    assert with_positions(TRADING, Fetched(NOW, envelope.data)).positions == (
        Position(
            "1752810569801498626",
            "BTC-USDT",
            "margin",
            "long",
            Decimal("0.00190433573"),
            "BTC",
            "isolated",
            "BTC",
            Decimal("62961.4"),
            Decimal("62891.9"),
            Decimal(5),
            Decimal("53615.448336593756"),
            Decimal("-0.0000033452492717"),
        ),
    )


def test_positions_are_added_to_no_balance() -> None:
    """Their unrealised profit is in the equity of the margin currency already."""
    told = read(SWAP)

    assert (told.balances, told.verdict, told.positions_as_of) == (TRADING.balances, Verdict.COMPLETE, NOW)
    assert [position.unrealised for position in told.positions or ()] == [Decimal("60.6")]


@pytest.mark.parametrize(
    ("fields", "side", "size"),
    [
        ({"pos": "-12"}, "short", "12"),
        ({"pos": "12"}, "long", "12"),
        ({"pos": "12", "posSide": "short"}, "short", "12"),
        ({"instType": "OPTION", "instId": "BTC-USD-270326-80000-C", "pos": "-2"}, "short", "2"),
        ({"instType": "MARGIN", "instId": "BTC-USDT", "pos": "3", "posCcy": "USDT"}, "short", "3"),
    ],
)
def test_the_side_is_the_sign_the_mode_or_the_currency(fields: dict[str, str], side: str, size: str) -> None:
    """Net mode signs derivatives; a margin position that holds the quote currency is short."""
    position = one(**fields)

    assert (position.side, str(position.size)) == (side, size)


def test_an_empty_text_is_unknown_and_not_zero() -> None:
    """An option has no leverage and no liquidation price."""
    assert (one().leverage, one().liquidation, one().size_currency) == (None, None, None)


def test_a_closed_position_is_none() -> None:
    """Its size is zero."""
    assert read(SWAP | {"pos": "0"}).positions == ()


@pytest.mark.parametrize("fields", [{"pos": ""}, {"posSide": "sideways"}, {"avgPx": "x"}, {"posId": ""}])
def test_an_unreadable_position_costs_no_other(fields: dict[str, str]) -> None:
    """The others are told with a code; alone it leaves the positions unknown."""
    told, alone = read(SWAP, SWAP | fields), read(SWAP | fields)

    assert (len(told.positions or ()), told.positions_code) == (1, Code.UNREADABLE_ROWS)
    assert (alone.positions, alone.positions_code) == (None, Code.UNEXPECTED_RESPONSE)
    assert {told.verdict, alone.verdict} == {Verdict.COMPLETE}


@pytest.mark.parametrize("fault", [failure(Code.RATE_LIMITED), failure(Code.PERMISSION_MISSING)])
def test_positions_that_could_not_be_read_cost_no_balance(fault: Failure) -> None:
    """The wallet stays complete, and the code says why they are unknown, which is not none."""
    told = with_positions(TRADING, fault)

    assert (told.verdict, told.balances) == (TRADING.verdict, TRADING.balances)
    assert (told.positions, told.positions_as_of, told.positions_code) == (None, None, fault.code)


def test_more_positions_than_a_message_carries_are_said() -> None:
    """The first ones are told, with a code."""
    told = read(*[SWAP] * (MAX_POSITIONS + 1))

    assert (len(told.positions or ()), told.positions_code) == (MAX_POSITIONS, Code.TOO_MANY_ASSETS)


@pytest.mark.parametrize(("told", "in_bots"), [("150", Decimal(150)), ("0", None), ("", None), ("x", None)])
def test_the_equity_of_bots_is_shown_as_a_part_of_the_total(told: str, in_bots: Decimal | None) -> None:
    """`eq` includes it already; where it is unreadable, the row is read nevertheless."""
    row = TRADING_ROW | {"ccy": "USDT", "eq": "500", "eqUsd": "500", "stgyEq": told}

    (balance,) = parse_trading([{"totalEq": "500", "details": [row]}]).balances

    assert (balance.total, balance.in_bots) == (Decimal(500), in_bots)
