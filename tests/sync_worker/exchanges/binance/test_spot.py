"""Binance's spot wallet: its parts are added up, two lists are compared, and earn counts once."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import reasons
from contracts.faults import Code
from contracts.syncs import TotalCheck, Verdict, WalletRead
from contracts.values import Balance
from sync_worker.errors import ContradictoryTotal, ExchangeTimeout
from sync_worker.exchanges.binance.spot import Around, differs, judge_spot, lists_earn
from sync_worker.verdicts import Fetched
from tests.sync_worker.exchanges.binance.answers import account, assets, documented, fetched
from tests.sync_worker.wording import NOW

LDO = {"asset": "LDO", "free": "120"}
LDUSDT = {"asset": "LDUSDT", "free": "500"}
USDT = {"asset": "USDT", "free": "10"}
PARTS = ("free", "locked", "freeze", "withdrawing", "ipoable")
AMOUNTS = st.decimals(0, 10**9, places=8)


def held(read: WalletRead) -> dict[str, Decimal]:
    """Return the totals of a wallet by asset."""
    return {balance.asset: balance.total for balance in read.balances or ()}


def test_all_parts_of_the_documented_list_belong_to_the_total(facts: Path) -> None:
    """The free amount is available, and the rest is locked."""
    listed = documented(facts, "sapi_v3_asset_getUserAsset.0")
    both = account(*({name: row[name] for name in ("asset", "free", "locked")} for row in listed))
    read = judge_spot(Fetched(NOW, listed), Around(both))

    assert read.verdict is Verdict.COMPLETE
    assert held(read)["BNB"] == Decimal("898.09061626")
    assert Balance("BNB", Decimal("898.09061626"), Decimal("887.47061626"), Decimal("10.62")) in (
        read.balances or ()
    )


@given(st.tuples(*(AMOUNTS for _ in PARTS)))
def test_an_amount_is_in_the_total_once(amounts: tuple[Decimal, ...]) -> None:
    """The total is the exact sum of the five parts."""
    row = {"asset": "BTC", **{name: str(each) for name, each in zip(PARTS, amounts, strict=True)}}
    both = account({"asset": "BTC", "free": row["free"], "locked": row["locked"]})
    (balance,) = judge_spot(assets(row), Around(both)).balances or ()

    assert (balance.total, balance.available) == (sum(amounts), amounts[0])
    assert balance.locked == balance.total - amounts[0]


@pytest.mark.parametrize("other", [{"free": "11"}, {"free": "10", "locked": "1"}, {"asset": "XRP"}, {}])
def test_an_asset_in_which_two_lists_differ_is_not_shown(other: dict[str, str]) -> None:
    """We cannot know which list is right; other assets are shown."""
    rows = [USDT | other] if other else []
    both = account({"asset": "BTC", "free": "1"}, *rows)
    listed = assets({"asset": "BTC", "free": "1"}, USDT)
    read = judge_spot(listed, Around(both))

    assert differs(listed, both)
    assert (read.verdict, read.error_code) == (Verdict.INCOMPLETE, Code.UNREADABLE_ROWS)
    assert held(read) == {"BTC": Decimal(1)}
    assert {row.asset for row in read.unreadable} == {"USDT", *(["XRP"] if "asset" in other else [])}
    assert {row.reason for row in read.unreadable} == {reasons.LISTS_DIFFER}


def test_a_row_of_zero_is_no_difference() -> None:
    """Only one of the lists leaves assets out that are not held."""
    both = account(USDT, {"asset": "XRP", "free": "0.00000000"})

    assert not differs(assets(USDT), both)
    assert judge_spot(assets(USDT), Around(both)).verdict is Verdict.COMPLETE


def test_without_the_account_the_wallet_is_not_read() -> None:
    """The worker shows no balance of a list that nothing confirms."""
    fault = ExchangeTimeout("The exchange did not send a whole answer in time.")
    read = judge_spot(assets(USDT), Around(fault))

    assert (read.verdict, read.error_code) == (Verdict.FAILED, Code.EXCHANGE_TIMEOUT)


@pytest.mark.parametrize("rows_in", [3, 2])
def test_a_flexible_position_counts_in_earn_alone(rows_in: int) -> None:
    """Its row in spot is left out, wherever it stands, and a coin whose name begins alike stays."""
    rows = [USDT, LDO, LDUSDT]
    read = judge_spot(assets(*rows[:rows_in]), Around(account(*rows), frozenset({"USDT"})))

    assert (read.verdict, held(read)) == (Verdict.COMPLETE, {"USDT": Decimal(10), "LDO": Decimal(120)})


@pytest.mark.parametrize("rows_in", [2, 1])
def test_a_row_that_earn_does_not_count_stays_under_its_own_name(rows_in: int) -> None:
    """If earn was not read, or has no such position."""
    rows = [USDT, LDUSDT]
    read = judge_spot(assets(*rows[:rows_in]), Around(account(*rows), frozenset({"BTC"})))

    assert (read.verdict, held(read)) == (Verdict.COMPLETE, {"USDT": Decimal(10), "LDUSDT": Decimal(500)})


def test_only_a_position_of_the_same_name_takes_a_row_away() -> None:
    """LDO is not a flexible position of LDO, but would be a position of an asset O."""
    of_ldo, of_o = (judge_spot(assets(LDO), Around(account(LDO), {asset})) for asset in ("LDO", "O"))

    assert held(of_ldo) == {"LDO": Decimal(120)}
    assert held(of_o) == {}


def test_rows_of_earn_are_noticed() -> None:
    """So that an earn wallet is read that would not be due."""
    assert lists_earn(assets(USDT), account(USDT, LDUSDT))
    assert not lists_earn(assets(USDT), account(USDT))


def test_an_empty_list_that_binance_values_is_no_balance() -> None:
    """The next try may read it."""
    read = judge_spot(fetched([]), Around(account(), valued=Decimal(100)))

    assert (read.verdict, read.error_code) == (
        Verdict.FAILED,
        ContradictoryTotal("").code,
    )


def test_a_control_total_that_the_list_can_not_explain_is_said() -> None:
    """The numbers stay; the check makes the sync partial."""
    prices = {"USDT": Decimal(1)}
    near, far = (
        judge_spot(assets(USDT), Around(account(USDT), prices=prices, valued=Decimal(valued)))
        for valued in (10, 500)
    )

    assert (near.total_check, far.total_check) == (TotalCheck.AGREES, TotalCheck.DISAGREES)
    assert held(near) == held(far)
