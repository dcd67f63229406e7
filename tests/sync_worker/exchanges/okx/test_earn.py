"""OKX's earn wallet is one list from several reads: nothing counts twice, and a failed read is no zero."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.faults import Code, Failure, failure
from contracts.syncs import TotalCheck, Verdict, WalletRead
from contracts.values import Balance
from sync_worker.exchanges.faults import Asked
from sync_worker.exchanges.okx.earn import (
    DUAL,
    PAGE,
    Around,
    EarnReads,
    dual_reads_by_state,
    is_full,
    judge_earn,
)
from sync_worker.exchanges.okx.earn_rows import parse_dual, parse_rewards, parse_savings, parse_staked
from sync_worker.exchanges.okx.faults import okx_failure
from sync_worker.exchanges.okx.payloads import parse_envelope
from sync_worker.verdicts import Fetched
from tests.sync_worker.scripted import TRADING_ROW
from tests.sync_worker.wording import NOW, complete, failed

NAMES = ("savings_balance", "staking_orders", "eth_staking", "sol_staking", "stable_rewards")
PRICED = [{"totalEq": "", "details": [TRADING_ROW | {"ccy": "USDT", "eq": "100", "eqUsd": "100"}]}]
FUNDED = complete("funding", Balance("BETH", Decimal("0.2")))
TRADED = complete("trading", Balance("BETH", Decimal("0.3")), Balance("USDG", Decimal(5)))
Said = Mapping[str, Any]


def saving(ccy: str, amount: str) -> dict[str, str]:
    """Return a row of flexible savings."""
    return {
        "ccy": ccy,
        "amt": amount,
        "earnings": "9",
        "loanAmt": amount,
        "pendingAmt": "0",
        "redemptAmt": "",
    }


def order(state: str, *invested: tuple[str, str]) -> dict[str, Any]:
    """Return an on-chain order, with rewards and a part in fast redemption, which are no further amounts."""
    amounts = [{"ccy": ccy, "amt": amount} for ccy, amount in invested]
    rewards = [{"ccy": "SOL", "earningType": "1", "earnings": "7"}]
    redeeming = [{"ccy": "SOL", "redeemingAmt": "7"}]
    return {
        "ordId": "1",
        "ccy": "SOL",
        "state": state,
        "investData": amounts,
        "earningData": rewards,
        "fastRedemptionData": redeeming,
    }


def dual(number: int, state: str, amount: str, ccy: str = "USDT") -> dict[str, str]:
    """Return a dual investment; its yield is paid elsewhere."""
    return {
        "ordId": str(number),
        "state": state,
        "notionalSz": amount,
        "notionalCcy": ccy,
        "yieldSz": "9",
        "yieldCcy": "BTC",
        "settleSz": "9",
        "settleCcy": "BTC",
    }


def staked(ccy: str, amount: str) -> dict[str, str]:
    """Return a balance of staked ETH or SOL."""
    return {"ccy": ccy, "amt": amount, "latestInterestAccrual": "0", "totalInterestAccrual": "0"}


def rewarded(ccy: str, amount: str) -> dict[str, Any]:
    """Return the balance of stable rewards."""
    return {"details": [{"ccy": ccy, "amt": amount, "totalEarnAccrual": "1", "state": "earning"}], "ts": "1"}


def told(said: Any) -> Fetched | Failure:
    """Return rows as data that were just fetched, a code of OKX as its fault, and a fault as it is."""
    if isinstance(said, str):
        return okx_failure(said, "", Asked("one_read"))
    return said if isinstance(said, Failure) else Fetched(NOW, said)


def judged(
    said: Said,
    *wallets: WalletRead,
    valued: str | None = None,
    orders: tuple[Any, ...] = ((),),
) -> WalletRead:
    """Return the verdict on the earn wallet; a read that is not named has no rows."""
    reads = {name: told(said.get(name, [])) for name in NAMES}
    investments = [told(each if isinstance(each, (str, Failure)) else list(each)) for each in orders]
    around = Around(
        wallets or (TRADED, FUNDED), Fetched(NOW, PRICED), None if valued is None else Decimal(valued)
    )
    return judge_earn(EarnReads(reads, investments), around)


def amounts(read: WalletRead) -> dict[str, str]:
    """Return the total by asset."""
    return {each.asset: f"{each.total:f}" for each in read.balances or ()}


def test_savings_orders_and_dual_investments_are_added_up() -> None:
    """Each asset has one row; earnings, rewards, yields and settlements are not part of it."""
    read = judged(
        {
            "savings_balance": [saving("USDT", "1.5"), saving("BTC", "0.25")],
            "staking_orders": [order("1", ("SOL", "3.5")), order("2", ("SOL", "1.5"), ("USDT", "20"))],
        },
        orders=((dual(1, "live", "100"), dual(2, "pending_settle", "0.1", "BTC")),),
    )

    assert read.verdict is Verdict.COMPLETE
    assert amounts(read) == {"USDT": "121.5", "BTC": "0.35", "SOL": "5.0"}
    assert all(each.available is None for each in read.balances or ())


@pytest.mark.parametrize(
    ("staked_amount", "redeeming"),
    [("0.5", None), ("0.50000001", None), ("0.4", None), ("0", None), ("0.75", "0.25")],
)
def test_staked_eth_and_sol_count_only_as_far_as_they_are_in_redemption(
    staked_amount: str, redeeming: str | None
) -> None:
    """OKX reports BETH and OKSOL with what trading and funding account hold; the rest is in no list."""
    read = judged({"eth_staking": [staked("BETH", staked_amount)]})

    assert read.verdict is Verdict.COMPLETE
    assert amounts(read) == ({"BETH": redeeming} if redeeming else {})


def test_stable_rewards_count_only_as_far_as_they_are_in_redemption() -> None:
    """The five USDG of the trading account are no more by earning rewards there."""
    assert amounts(judged({"stable_rewards": [rewarded("USDG", "5")]})) == {}
    assert amounts(judged({"stable_rewards": [rewarded("USDG", "7.5")]})) == {"USDG": "2.5"}


@pytest.mark.parametrize(
    "wallets",
    [
        (failed("trading", Code.RATE_LIMITED), FUNDED),
        (complete("trading", Balance("BETH", Decimal(-1), borrowed=Decimal(1))), FUNDED),
    ],
    ids=["a wallet was not read", "a wallet owes some"],
)
def test_what_is_in_redemption_is_unknown_where_another_wallet_is(wallets: tuple[WalletRead, ...]) -> None:
    """The asset is unreadable, not all of it and not none; an asset of which nothing is staked is not."""
    read = judged({"eth_staking": [staked("BETH", "0.75")], "sol_staking": [staked("OKSOL", "0")]}, *wallets)

    assert (read.verdict, read.error_code) == (Verdict.INCOMPLETE, Code.UNREADABLE_ROWS)
    assert [row.asset for row in read.unreadable] == ["BETH"]


@pytest.mark.parametrize(("saved", "whole"), [("0.25", True), ("0.1", False)])
def test_a_staked_asset_in_savings_is_not_counted_again_as_in_redemption(saved: str, *, whole: bool) -> None:
    """Whether OKX counts it among what is staked is not documented: only an exact fit tells."""
    read = judged({"savings_balance": [saving("BETH", saved)], "eth_staking": [staked("BETH", "0.75")]})

    assert amounts(read) == ({"BETH": saved} if whole else {})
    assert [row.asset for row in read.unreadable] == ([] if whole else ["BETH"])


@pytest.mark.parametrize("name", [*NAMES, "dual_orders"])
@pytest.mark.parametrize("code", ["50011", "50026", "58007"])
def test_a_part_that_failed_for_a_moment_is_no_zero(name: str, code: str) -> None:
    """The whole wallet is failed, so that it is tried again, and the verdict names the read."""
    said = {"savings_balance": [saving("USDT", "1")]} | {name: code}
    read = judged(said, orders=(code,) if name == "dual_orders" else ((),))

    assert (read.verdict, read.balances) == (Verdict.FAILED, None)
    assert (read.exchange_code, read.endpoint) == (code, "one_read")


@pytest.mark.parametrize("name", [*NAMES[1:], "dual_orders"])
@pytest.mark.parametrize("fault", ["50120", "50030", "51000"])
def test_a_part_that_can_not_be_read_leaves_the_others_shown(name: str, fault: str) -> None:
    """The wallet is incomplete, says which part it lacks, and its sum is no worth of it."""
    said = {"savings_balance": [saving("USDT", "1")]} | {name: fault}
    read = judged(said, valued="1", orders=(fault,) if name == "dual_orders" else ((),))

    assert (read.verdict, read.error_code) == (Verdict.INCOMPLETE, Code.UNREAD_PARTS)
    assert (read.unread_parts, read.exchange_code) == ((name,), fault)
    assert amounts(read) == {"USDT": "1"}
    assert read.totals is not None
    assert (read.totals.listed, read.totals.valued) == (None, Decimal(1))


def test_a_part_in_another_shape_is_a_part_that_was_not_read() -> None:
    """Its rows are neither guessed nor left out."""
    read = judged({"savings_balance": [{"currency": "USDT", "amt": "1"}]})

    assert (read.verdict, read.unread_parts) == (Verdict.INCOMPLETE, ("savings_balance",))


def test_a_key_that_may_read_no_part_is_not_permitted() -> None:
    """Only this wallet is."""
    read = judged(dict.fromkeys(NAMES, "50120"), orders=("50120",))

    assert (read.verdict, read.error_code) == (Verdict.NOT_PERMITTED, Code.PERMISSION_MISSING)


@pytest.mark.parametrize("code", ["58002", "51735", "50038"])
def test_savings_that_were_never_opened_are_empty(code: str) -> None:
    """A sub-account and demo trading have none of these products, either."""
    assert (judged({"savings_balance": code}).verdict, judged({"savings_balance": code}).balances) == (
        Verdict.COMPLETE,
        (),
    )
    assert judged(dict.fromkeys(NAMES, code), orders=(code,)).balances == ()


def test_orders_that_have_ended_are_not_counted() -> None:
    """Their amount is in another wallet; that of an order in an unknown state may be, and is unreadable."""
    read = judged(
        {"staking_orders": [order("3", ("SOL", "9")), order("77", ("SOL", "9")), order("8", ("ETH", "1"))]},
        orders=(
            (
                *(dual(number, state, "9") for number, state in enumerate(("settled", "redeemed"), start=10)),
                dual(12, "rejected", "9"),
                dual(13, "initial", "9"),
                dual(14, "pending_redeem", "4"),
                dual(15, "frozen", "9", "BTC"),
            ),
        ),
    )

    assert amounts(read) == {"ETH": "1", "USDT": "4"}
    assert {row.asset: row.reason for row in read.unreadable} == dict.fromkeys(
        ("SOL", "BTC"), "state has a value that we do not know"
    )


def test_an_order_that_moves_on_between_two_reads_counts_once() -> None:
    """The reads by state follow the order of the states, so that it is in two responses and never in none."""
    assert [read.query["state"] for read in dual_reads_by_state()] == [
        "live",
        "pending_settle",
        "pending_redeem",
    ]

    read = judged({}, orders=((dual(1, "live", "4"),), (dual(1, "pending_settle", "4"),), ()))

    assert amounts(read) == {"USDT": "4"}


def test_a_response_that_can_hold_no_more_orders_is_not_the_whole_list() -> None:
    """Then those of each state are read; if these fill a response, too, the wallet is incomplete."""
    page = [dual(number, "live", "1") for number in range(PAGE)]
    assert is_full(Fetched(NOW, page))
    assert not is_full(Fetched(NOW, page[1:]))
    assert DUAL.query == {"limit": str(PAGE)}

    read = judged({}, orders=(page, (), ()))

    assert (read.verdict, read.unread_parts) == (Verdict.INCOMPLETE, ("dual_orders",))
    assert amounts(read) == {"USDT": "100"}


def test_an_asset_of_which_a_part_is_unreadable_is_unreadable() -> None:
    """A sum without one of its parts would be too small, and look right."""
    investments = (dual(1, "live", "x"), dual(2, "live", "2", "BTC"))
    read = judged({"savings_balance": [saving("USDT", "5"), saving("BTC", "1")]}, orders=(investments,))

    assert amounts(read) == {"BTC": "3"}
    assert [(row.asset, row.usd) for row in read.unreadable] == [("USDT", None)]


@pytest.mark.parametrize(
    ("valued", "check"),
    [("50", TotalCheck.AGREES), ("310.5", TotalCheck.DISAGREES), (None, TotalCheck.UNCHECKED)],
)
def test_a_valuation_above_the_list_is_no_contradiction(valued: str | None, check: TotalCheck) -> None:
    """Simple Earn Fixed is only in the valuation: the list is shown with its worth, also an empty one."""
    read = judged({"savings_balance": [saving("USDT", "50")]}, valued=valued)
    empty = judged({}, valued="310.5")

    assert (read.verdict, read.total_check) == (Verdict.COMPLETE, check)
    assert read.totals is not None
    assert read.totals.listed == 50
    assert (empty.verdict, empty.balances, empty.total_check) == (Verdict.COMPLETE, (), TotalCheck.DISAGREES)


def test_a_list_without_prices_is_unchecked() -> None:
    """Only the trading account has prices; an asset that it does not hold has none."""
    read = judged({"savings_balance": [saving("BTC", "1")]}, valued="50000")

    assert read.total_check is TotalCheck.UNCHECKED
    assert read.totals is not None
    assert read.totals.listed is None


def test_the_time_is_that_before_the_first_read() -> None:
    """Where no read has a time, it is that of the other wallets."""
    assert judged({}).as_of == NOW
    assert judged(dict.fromkeys(NAMES, "51735"), orders=("51735",)).as_of == NOW
    unread = judged(
        dict.fromkeys(NAMES, "51735"),
        failed("trading", Code.KEY_REJECTED),
        orders=(failure(Code.KEY_REJECTED),),
    )
    assert unread.verdict is Verdict.FAILED


UNITS = st.integers(0, 10**33)


def text(units: int) -> str:
    """Write a number of smallest units as an amount."""
    return f"{units // 10**18}.{units % 10**18:018d}"


@given(st.lists(UNITS, max_size=4), st.lists(UNITS, max_size=4), UNITS)
def test_the_sum_of_an_asset_is_that_of_its_parts_to_the_last_digit(
    invested: list[int], principals: list[int], saved: int
) -> None:
    """However the amounts are spread over the products."""
    orders = [order("1", *(("USDT", text(units)) for units in invested))] if invested else []
    read = judged(
        {"savings_balance": [saving("USDT", text(saved))], "staking_orders": orders},
        orders=([dual(number, "live", text(units)) for number, units in enumerate(principals)],),
    )

    assert amounts(read) == {"USDT": text(saved + sum(invested) + sum(principals))}


@pytest.mark.parametrize(
    ("name", "parse", "held"),
    [
        ("finance_savings.0", parse_savings, {"USDT": "11.0010737453457821"}),
        ("finance_eth_balance.0", parse_staked, {"BETH": "0.63926191"}),
        ("finance_sol_balance.0", parse_staked, {"OKSOL": "0.01100012"}),
        ("finance_stable-rewards_balance.0", parse_rewards, {"USDG": "100"}),
        ("finance_dcd_order-history.0", lambda data: parse_dual([data]), {}),
    ],
)
def test_the_documented_example_is_read(facts: Path, name: str, parse: Any, held: dict[str, str]) -> None:
    """The amounts are those of the exchange's documentation; a settled investment is none."""
    envelope = parse_envelope((facts / "doc-examples" / "okx" / f"{name}.json").read_bytes())
    assert envelope is not None

    assert {row.asset: str(row.balance.total) for row in parse(envelope.data)} == held
