"""For any response about earn products and positions, the gateway accepts the worker's outcome."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_worker.exchanges.okx.earn import Around, EarnReads, judge_earn
from sync_worker.exchanges.okx.positions import with_positions
from sync_worker.exchanges.okx.wallets import judge_wallets
from sync_worker.sync import Reading
from sync_worker.verdicts import Fetched
from tests.conformance.test_honest_outcomes import AMOUNT, NOW, TEXT, VALUE, accepted, sent

HELD = {"ccy": TEXT, "amt": AMOUNT | VALUE}
STATE = st.sampled_from(["1", "2", "3", "live", "settled"]) | VALUE
SAVINGS = st.lists(st.fixed_dictionaries({}, optional=HELD) | VALUE, max_size=4)
ORDER = st.fixed_dictionaries({"state": STATE}, optional={"ccy": TEXT, "investData": SAVINGS | VALUE})
DUAL = st.fixed_dictionaries(
    {"state": STATE}, optional={"ordId": TEXT | VALUE, "notionalSz": AMOUNT, "notionalCcy": TEXT | VALUE}
)
REWARDS = st.lists(st.fixed_dictionaries({}, optional={"details": SAVINGS | VALUE}), max_size=2)
POSITION = st.fixed_dictionaries(
    {
        "pos": AMOUNT,
        "instType": st.sampled_from(["MARGIN", "SWAP"]) | VALUE,
        "posSide": TEXT | st.just("net"),
    },
    optional={"posId": TEXT, "instId": TEXT, "ccy": TEXT, "posCcy": TEXT, "avgPx": AMOUNT, "liqPx": VALUE},
)


def some(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return lists of rows, and other values."""
    return st.lists(rows | VALUE, max_size=4) | VALUE


@settings(max_examples=300)
@given(
    savings=SAVINGS | VALUE,
    orders=some(ORDER),
    dual=st.lists(some(DUAL), min_size=1, max_size=3),
    staked=st.lists(some(st.fixed_dictionaries({}, optional=HELD)), min_size=2, max_size=2),
    rewards=REWARDS | VALUE,
    positions=some(POSITION),
)
def test_whatever_the_products_say_the_gateway_takes_the_outcome(
    savings: Any, orders: Any, dual: list[Any], staked: list[Any], rewards: Any, positions: Any
) -> None:
    """Rows of any text and any number become unreadable rows or parts; none of them breaks the outcome."""

    def fetched(data: Any) -> Fetched:
        return Fetched(NOW, sent(data))

    account = {"totalEq": "", "details": [{"ccy": "BTC", "eq": "1", "eqUsd": "64000"}]}
    trading = fetched([account])
    wallets = judge_wallets(trading, fetched([]), fetched([]))
    reads = {"savings_balance": savings, "staking_orders": orders, "stable_rewards": rewards}
    reads |= {"eth_staking": staked[0], "sol_staking": staked[1]}
    by_name = {name: fetched(data) for name, data in reads.items()}
    earn = judge_earn(EarnReads(by_name, [fetched(data) for data in dual]), Around(wallets, trading))
    told = (with_positions(wallets[0], fetched(positions)), wallets[1], earn)

    assert len(accepted(Reading(told)).wallets) == len(told)
