"""The governor sends a call in its turn, or says at once that it can not be sent in time."""

import asyncio
import math
import time
from functools import partial

import msgspec
import pytest

from contracts.exchanges.okx import OKX
from contracts.exchanges.types import Budget
from contracts.faults import Code, Failure, failure
from sync_worker.budgets.governor import Governor
from sync_worker.budgets.order import Order, Turn, in_turn
from sync_worker.budgets.refusals import refused_budget
from sync_worker.budgets.shares import Share
from sync_worker.budgets.sizes import MOST_PAUSE
from sync_worker.budgets.tables import tables
from sync_worker.errors import HeldBack, SignedTooLongAgo
from sync_worker.settings import Ceiling

READ = "account_balance"
# An exchange that counts weights by the minute, as an entry would say it.
WEIGHED = msgspec.structs.replace(
    OKX,
    key="weighed",
    budgets=(Budget("weight", 6000, 60.0, counts_all=True), Budget("orders", 10, 1.0)),
    costs={"account_balance": {"weight": 20}, "asset_balances": {"orders": 1}},
)


def governed(calls: int, seconds: float) -> Governor:
    """Return the governor of one worker that has the whole budget of its address."""
    made = Governor(tables({"okx": Ceiling(calls, seconds)}))
    made.apply("okx", {"address": Share(calls, calls)}, math.inf)
    return made


async def test_calls_wait_for_their_places() -> None:
    """Ten calls with five places in a fifth of a second take at least one window more."""
    made, began = governed(5, 0.2), time.monotonic()

    async def call() -> None:
        async with made.call("okx", READ, 10.0):
            pass

    await asyncio.gather(*(call() for _ in range(10)))

    assert time.monotonic() - began >= 0.2


async def test_what_can_not_be_sent_in_time_is_not_sent() -> None:
    """Neither a call nor a batch waits without hope; each says after how long it may come again."""
    made = governed(1, 10.0)
    async with made.call("okx", READ, 5.0):
        pass

    began = time.monotonic()
    with pytest.raises(HeldBack) as caught:
        async with made.call("okx", READ, 5.0):
            pytest.fail("a call exceeded the budget")
    with pytest.raises(HeldBack):
        await made.require("okx", [READ] * 5, 20.0)

    assert time.monotonic() - began < 1
    assert caught.value.code == Code.RATE_LIMITED
    assert caught.value.retry_after is not None
    assert caught.value.retry_after > 5


async def test_a_batch_that_its_part_is_too_small_for_asks_for_a_larger_one() -> None:
    """Else no worker of many without work could begin a sync, though nobody uses the address."""
    made, wanted = governed(40, 2.0), list[int]()
    part = made.lines["okx"].slices["address"]

    def leased(_exchange: str) -> None:
        wanted.append(part.wants(made.clock()))
        give = partial(made.apply, "okx", {"address": Share(14, 40)}, math.inf)
        asyncio.get_running_loop().call_soon(give)

    made.apply("okx", {"address": Share(1, 40)}, math.inf)
    made.on_shortage = leased

    await made.require("okx", [READ] * 14, 20.0)

    assert wanted == [14]


async def test_a_call_that_is_given_up_takes_no_place_for_ever() -> None:
    """Cancelled while it waits, or at the moment of its turn, it leaves nothing behind."""
    made = governed(1, 0.1)
    part = made.lines["okx"].slices["address"]

    async def call() -> None:
        async with made.call("okx", READ, 10.0):
            await asyncio.sleep(0)

    for _ in range(3):
        tasks = [asyncio.create_task(call()) for _ in range(4)]
        await asyncio.sleep(0)
        made.apply("okx", {"address": Share(4, 4)}, math.inf)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    assert not made.lines["okx"].is_short
    assert part.waiting == 0
    assert part.busy(made.clock() + 1) == 0


async def test_a_persons_call_overtakes_the_schedule() -> None:
    """Those that wait begin by the order of their work."""
    made, begun = governed(1, 0.1), list[Order]()

    async def call(order: Order) -> None:
        with in_turn(Turn(order)):
            async with made.call("okx", READ, 10.0):
                begun.append(order)

    first = asyncio.create_task(call(Order.PRICES))
    await asyncio.sleep(0)
    await asyncio.gather(first, *(call(each) for each in sorted(Order, reverse=True)))

    assert begun == [Order.PRICES, *Order]


@pytest.mark.parametrize(
    ("read", "fault", "budget"),
    [
        ("public_time", failure(Code.RATE_LIMITED, exchange_code="50011"), "public_time"),
        ("tickers", failure(Code.RATE_LIMITED, exchange_code="50011"), "tickers"),
        (READ, failure(Code.RATE_LIMITED, exchange_code="50011"), None),
        (READ, failure(Code.RATE_LIMITED), "address"),
        ("public_time", failure(Code.RATE_LIMITED), "address"),
        (READ, failure(Code.EXCHANGE_UNAVAILABLE, exchange_code="50013"), None),
    ],
    ids=[
        "code of a public read",
        "of a list",
        "of a signed read",
        "429 alone",
        "429 of a public read",
        "busy",
    ],
)
def test_a_refusal_belongs_to_an_address_or_to_a_user(read: str, fault: Failure, budget: str | None) -> None:
    """OKX's code for a signed read is that of a user; a status alone comes from a server that knows none."""
    assert refused_budget(OKX, read, fault) == budget


async def test_the_refusal_of_a_user_delays_no_other() -> None:
    """Only that account comes back later."""
    made = governed(100, 1.0)
    with pytest.raises(Failure):
        async with made.call("okx", READ, 5.0):
            raise failure(Code.RATE_LIMITED, exchange_code="50011")

    async with made.call("okx", READ, 5.0):
        pass


async def test_an_unlimited_address_that_is_refused_pauses() -> None:
    """Without a limit of ours nothing waits, until a server in front of the exchange refuses the address."""
    made = Governor(tables({}))
    with pytest.raises(Failure):
        async with made.call("okx", READ, 5.0):
            raise failure(Code.RATE_LIMITED, retry_after=30.0)

    with pytest.raises(HeldBack):
        async with made.call("okx", "asset_balances", 5.0):
            pytest.fail("a call was sent during a ban")


async def test_a_call_that_we_did_not_send_is_no_refusal() -> None:
    """A read whose signature is too old when its turn comes pauses no call: the exchange has not seen it."""
    made = Governor(tables({}))
    with pytest.raises(SignedTooLongAgo):
        async with made.call("okx", READ, 5.0):
            raise SignedTooLongAgo(2.0)

    async with made.call("okx", READ, 5.0):
        pass


def test_an_announcement_pauses_no_longer_than_an_exchange_may_ask() -> None:
    """A worker that announces a day would else stop the others until they are restarted."""
    governor = Governor(tables({}))

    governor.pause("okx", "address", 86400.0)

    assert governor.lines["okx"].slices["address"].paused_until < governor.clock() + MOST_PAUSE + 2.0


async def test_weights_are_rows_of_an_entry() -> None:
    """A read takes its weight, another the default of 1 and one of its own budget; a reported number wins."""
    made = Governor({"weighed": (WEIGHED, {each.key: each for each in WEIGHED.budgets})})
    made.apply("weighed", {"weight": Share(6000, 6000), "orders": Share(10, 10)}, math.inf)
    weight, orders = made.lines["weighed"].slices.values()

    async with made.call("weighed", "account_balance", 5.0):
        assert (weight.busy(made.clock()), orders.busy(made.clock())) == (20, 0)
    async with made.call("weighed", "asset_balances", 5.0) as call:
        call.used({"weight": 5990, "unknown": 7})

    assert orders.busy(made.clock()) == 1
    assert weight.wait(20, Order.PERSON, made.clock()) > 50


async def test_work_that_a_ban_holds_back_comes_again_at_its_end() -> None:
    """Not sooner, however long the ban; and the worker says that it is limited until then."""
    made = governed(5, 2.0)
    check = made.checks()["exchange/okx"]
    assert await check()
    made.pause("okx", "address", 600.0)

    with pytest.raises(HeldBack) as batch:
        await made.require("okx", [READ], 20.0)
    with pytest.raises(HeldBack) as call:
        async with made.call("okx", READ, 20.0):
            pytest.fail("a call was sent in a ban")

    for caught in (batch.value, call.value):
        assert caught.retry_after is not None
        assert 599.0 < caught.retry_after < 601.0
    assert not await check()
