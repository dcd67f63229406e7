"""Checking passwords: strangers do not delay known clients."""

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import extract_parameters

from contracts.values import Secret
from gateway.errors import TooBusy
from gateway.identity.passwords import OF_NOBODY, Passwords

RIGHT, WRONG = Secret("correct horse battery"), Secret("wrong horse battery")
PLACES = 24


@pytest.fixture(name="passwords")
def _passwords() -> Iterator[Passwords]:
    passwords = Passwords(PLACES)
    yield passwords
    passwords.close()


async def test_strangers_do_not_make_a_known_client_wait(passwords: Passwords) -> None:
    """While strangers from everywhere hold every slot, a known client's password is checked at once.

    The strangers' queue is not a quarter done by then.
    """
    password_hash = await passwords.hash(RIGHT, "somewhere")
    crowd = [
        asyncio.create_task(passwords.matches(password_hash, WRONG, f"198.51.100.{number}"))
        for number in range(PLACES)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await passwords.matches(password_hash, RIGHT, "203.0.113.7")

    matched = await passwords.matches(password_hash, RIGHT, "user 203.0.113.7", known=True)

    waiting = [task for task in crowd if not task.done()]
    assert matched
    assert len(waiting) > PLACES * 3 // 4
    assert not any(await asyncio.gather(*crowd))


async def test_one_known_client_holds_a_quarter_at_most(passwords: Passwords) -> None:
    """One known user does not take the slots of the others."""
    password_hash = await passwords.hash(RIGHT, "somewhere")
    own = [
        asyncio.create_task(passwords.matches(password_hash, WRONG, "mallory", known=True))
        for _ in range(PLACES // 4)
    ]
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await passwords.matches(password_hash, WRONG, "mallory", known=True)

    assert await passwords.matches(password_hash, RIGHT, "alice", known=True)
    assert not any(await asyncio.gather(*own))


async def test_an_unknown_user_costs_the_same_hash(passwords: Passwords) -> None:
    """The hash of nobody has the parameters and lengths of a stored one, and matches no password."""
    stored = await passwords.hash(RIGHT, "client")

    assert extract_parameters(OF_NOBODY) == extract_parameters(stored)
    assert len(OF_NOBODY) == len(stored)
    assert not await passwords.matches(None, RIGHT, "client")
