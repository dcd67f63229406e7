"""Sub-accounts of one master are read one after the other, and those of others beside them."""

import time
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import pytest

from chassis.clocks import Clocks
from contracts.exchanges.okx import OKX
from contracts.syncs import SubAccount
from sync_worker.broker import Access
from sync_worker.errors import HeldBack
from sync_worker.exchanges.okx.connector import Okx
from sync_worker.exchanges.okx.turns import LONGEST_WAIT_SECONDS, MOST_REMEMBERED, SPACING_SECONDS, Turns
from sync_worker.exchanges.signed import Parts
from sync_worker.sync import MAX_TRIES, Attempt, next_try, nothing_read
from sync_worker.verdicts import TOLERANCE
from tests.sync_worker.exchanges.okx.test_earlier_broker import OneRegion

if TYPE_CHECKING:
    from sync_worker.broker import Broker
    from sync_worker.exchanges.http import Https
    from sync_worker.settings import Settings


def test_each_turn_of_a_credential_is_after_the_one_before() -> None:
    """The limits are those of the key."""
    turns, one, other = Turns(), uuid4(), uuid4()

    waits = [turns.take(one, f"grant {number}", 100.0) for number in range(3)]

    assert waits == pytest.approx([0, SPACING_SECONDS, 2 * SPACING_SECONDS])
    assert turns.take(other, "grant", 100.0) == 0


def test_time_that_has_passed_is_not_waited_for() -> None:
    """A turn in the past is over."""
    turns, one = Turns(), uuid4()
    turns.take(one, "first", 100.0)

    assert turns.take(one, "second", 100.0 + SPACING_SECONDS / 2) == pytest.approx(SPACING_SECONDS / 2)
    assert turns.take(one, "third", 200.0) == 0


def test_a_sync_that_comes_back_finds_its_turn() -> None:
    """Those that asked after it do not overtake it, and it takes no second turn."""
    turns, one = Turns(), uuid4()
    waits = {f"grant {number}": turns.take(one, f"grant {number}", 100.0) for number in range(20)}
    late = [grant for grant, wait in waits.items() if wait > LONGEST_WAIT_SECONDS]

    assert len(late) > 5
    for grant in late:
        assert turns.take(one, grant, 100.0 + waits[grant]) == pytest.approx(0, abs=1e-6)
    assert turns.take(one, "new", 100.0) == pytest.approx(20 * SPACING_SECONDS)


def test_turns_that_are_over_are_forgotten() -> None:
    """The memory does not grow with the number of users."""
    turns = Turns()
    for _ in range(MOST_REMEMBERED):
        turns.take(uuid4(), "grant", 100.0)

    turns.take(uuid4(), "grant", 200.0)

    assert len(turns._next) == 1


async def test_a_sync_whose_turn_is_later_used_up_no_try() -> None:
    """Nothing was asked of the exchange; with several workers it may have to wait at each of them."""
    one, settings = SubAccount("11", "one"), cast("Settings", OneRegion("https://unused.test"))
    access = Access(uuid4(), OKX.key, "us", "grant", time.monotonic() + 20.0, sub_account=one)
    okx = Okx(Parts(cast("Https", None), cast("Broker", None), Clocks(), settings), TOLERANCE)
    for number in range(20):
        okx._turns.take(access.credential_id, f"other {number}", time.monotonic())

    with pytest.raises(HeldBack) as held:
        await okx.read_wallets(access)

    last = Attempt(delivery=MAX_TRIES + 3)
    assert next_try(nothing_read(OKX, held.value), last, 100.0, 1.0) is not None
