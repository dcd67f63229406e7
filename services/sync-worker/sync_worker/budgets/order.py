"""The order in which calls go: a person's sync first, then verifications, the schedule, and prices. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from typing import NamedTuple


class Order(IntEnum):
    """The ranks of work; a smaller one goes first."""

    PERSON = 0
    VERIFY = 1
    SCHEDULED = 2
    PRICES = 3

    @property
    def waits(self) -> bool:
        """Return whether this work leaves a part of each budget to the others.

        Prices do not: they are a few calls in a minute for all accounts, and behind a schedule that always
        waits that part is all that they get.
        """
        return self is Order.SCHEDULED


class Turn(NamedTuple):
    """The rank of a piece of work, and its place within that rank: of two the smaller goes first."""

    order: Order
    number: float = 0.0


FIRST = Turn(Order.PERSON)
TURN: ContextVar[Turn] = ContextVar("turn", default=FIRST)


@contextmanager
def in_turn(turn: Turn) -> Iterator[None]:
    """Give all calls of this context their place."""
    token = TURN.set(turn)
    try:
        yield
    finally:
        TURN.reset(token)
