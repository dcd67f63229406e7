"""Clocks: one other clock proves nothing, two that agree do, and the time is what most of them show."""

import asyncio
from datetime import UTC, datetime

import pytest

from chassis.clocks import ASK_SECONDS, MAX_AGE, TOLERANCE, Clocks

NOW = 1_800_000_000.0


class Machine:
    """A machine whose wall clock is off by so many seconds, at a monotonic time that a test sets."""

    def __init__(self, off: float = 0.0) -> None:
        self.off, self.ticks = off, 5.0
        self.clocks = Clocks(lambda: NOW + self.ticks + self.off, lambda: self.ticks)

    def note(self, **ahead: float) -> None:
        """Read other clocks, which are ahead of the true time by so many seconds."""
        for name, seconds in ahead.items():
            self.clocks.note(name, NOW + self.ticks + seconds)

    @property
    def error(self) -> float:
        """Return by how much the time that the clocks give differs from the true one."""
        return round(self.clocks.now().timestamp() - NOW - self.ticks, 3)


@pytest.mark.parametrize("off", [-10, 10])
def test_ten_seconds_are_no_disagreement(off: float) -> None:
    """Such a clock is believed by all, and the time is that of the servers."""
    machine = Machine(off)
    machine.note(nats=0, database=0.2)

    assert (machine.clocks.disagreeing(), machine.clocks.wrong()) == ((), False)
    assert abs(machine.error) <= 0.2


@pytest.mark.parametrize("off", [-3600, -90, 90, 3600])
def test_two_clocks_that_agree_prove_a_third_wrong(off: float) -> None:
    """Both are named, the own clock is wrong, and the time is theirs."""
    machine = Machine(off)
    machine.note(nats=0, database=0)

    assert (machine.clocks.disagreeing(), machine.clocks.wrong()) == (("nats", "database"), True)
    assert machine.error == 0


@pytest.mark.parametrize("off", [-3600, -90, 90, 3600])
def test_one_clock_proves_nothing(off: float) -> None:
    """It is named, and the own clock counts, because either may be wrong."""
    machine = Machine(off)
    machine.note(vault=0)

    assert (machine.clocks.disagreeing(), machine.clocks.wrong()) == (("vault",), False)
    assert machine.error == off


@pytest.mark.parametrize("wrong", ["nats", "database"])
def test_a_server_with_a_wrong_clock_is_outvoted(wrong: str) -> None:
    """It is named, the own clock is not wrong, and the time is that of the other two."""
    machine = Machine()
    machine.note(**{"nats": 0.0, "database": 0.0, wrong: 3600.0})

    assert (machine.clocks.disagreeing(), machine.clocks.wrong()) == ((wrong,), False)
    assert machine.error == 0


def test_clocks_that_all_differ_prove_nothing() -> None:
    """Two others that differ from each other, too, do not agree against the own one."""
    machine = Machine()
    machine.note(nats=-3600, database=3600)

    assert not machine.clocks.wrong()
    assert machine.error == 0


def test_a_clock_that_is_set_right_is_right_at_once() -> None:
    """A reading is carried on by the monotonic clock: setting the own clock needs no new one."""
    machine = Machine(3600)
    machine.note(nats=0, database=0)
    machine.off, machine.ticks = 0, machine.ticks + 7

    assert machine.clocks.offset("nats") == 0
    assert not machine.clocks.wrong()


def test_an_old_reading_counts_no_longer() -> None:
    """A server that does not answer any more can not accuse."""
    machine = Machine(3600)
    machine.note(nats=0, database=0)
    machine.ticks += MAX_AGE + 1

    assert (machine.clocks.offset("nats"), machine.clocks.disagreeing()) == (None, ())


def test_the_tolerance_is_between_ten_seconds_and_ninety() -> None:
    """Ten seconds change nothing, ninety are named."""
    assert 10 < TOLERANCE < 90


async def test_a_measurement_across_a_stop_is_not_kept() -> None:
    """A process that stood still while it asked does not know which moment the answer is of."""
    machine = Machine()

    async def slow() -> float:
        machine.ticks += 3 * ASK_SECONDS
        return NOW

    async def silent() -> float:
        await asyncio.Event().wait()
        return NOW

    assert not await machine.clocks.measure("nats", slow)
    assert not await machine.clocks.measure("database", silent)
    assert machine.clocks.time_of("nats") is None


async def test_a_server_looked_at_its_clock_in_the_middle() -> None:
    """Half of the time that the question took is taken off."""
    machine = Machine()

    async def ask() -> float:
        machine.ticks += 1.0
        return NOW + 5.5

    assert await machine.clocks.measure("nats", ask)
    assert machine.clocks.time_of("nats") == datetime.fromtimestamp(NOW + 6.0, UTC)
