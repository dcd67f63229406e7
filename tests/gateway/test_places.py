"""Slots for concurrent work are limited in total and per client."""

from contextlib import ExitStack

import pytest

from gateway.errors import TooBusy
from gateway.places import Places


def test_one_client_holds_a_quarter_at_most() -> None:
    """With eight slots the third of one client is refused, and another client gets one."""
    places = Places(8)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(places.taken("me"))
        with pytest.raises(TooBusy), places.taken("me"):
            pass
        with places.taken("you"):
            pass


def test_all_clients_together_hold_no_more_than_there_are() -> None:
    """When every slot is held the next client is refused, until one is released."""
    places = Places(4)
    with ExitStack() as held:
        for number in range(4):
            held.enter_context(places.taken(str(number)))
        with pytest.raises(TooBusy), places.taken("late"):
            pass
    with places.taken("late"):
        pass


def test_a_place_is_given_back_when_its_work_fails() -> None:
    """However the work ends, the slot is free again."""
    places = Places(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="failed"), places.taken("me"):
            raise ValueError("failed")
