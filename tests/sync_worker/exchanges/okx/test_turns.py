"""Sub-accounts of one master are read one after the other, and those of others beside them."""

from uuid import uuid4

import pytest

from sync_worker.exchanges.okx.turns import LONGEST_WAIT_SECONDS, MOST_REMEMBERED, SPACING_SECONDS, Turns


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
