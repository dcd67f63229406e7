"""A user ends one session or all the others, and their tokens end with them."""

from datetime import timedelta
from uuid import uuid4

import pytest

from contracts.values import Secret
from deploy.local.postgres import Postgres
from gateway.errors import InvalidInput, NotFound, WeakPassword, WrongPassword
from gateway.identity import sessions
from gateway.identity.change_password import Change, change_password
from gateway.identity.login import login
from gateway.identity.passwords import Passwords
from gateway.identity.proof import Proving
from gateway.identity.tokens import ACCESS_LIFE, Renewed, SignedIn
from gateway.store.pool import Pool
from gateway.store.users import Times, User
from tests.gateway.allowing import allowing
from tests.gateway.identity.presenting import ADDRESS, PASSWORD, presented
from tests.system.test_sweeper import run

NEW = "another horse battery"


async def begun(pool: Pool, passwords: Passwords, password: str = PASSWORD) -> tuple[Renewed, SignedIn]:
    """Begin a session, and return it and the user of its access token."""
    session = await login(pool, passwords, allowing(), presented(password=password))
    user = await found(pool, session)
    assert user is not None
    return session, user


async def found(pool: Pool, session: Renewed, life: timedelta = ACCESS_LIFE) -> SignedIn | None:
    """Find the user of an access token of a session."""
    times = Times(session.now, session.now + life)
    return await sessions.find_signed_in(pool, session.user_id, session.family_id, times)


async def test_a_token_tells_its_user_until_it_is_over(pool: Pool, passwords: Passwords, user: User) -> None:
    """By the database's clock, and only together with its session."""
    session, signed_in = await begun(pool, passwords)

    assert (signed_in.id, signed_in.family_id) == (user.id, session.family_id)
    assert await found(pool, session, timedelta(0)) is None
    times = Times(session.now, session.now + ACCESS_LIFE)
    assert await sessions.find_signed_in(pool, uuid4(), session.family_id, times) is None
    assert await sessions.find_signed_in(pool, user.id, uuid4(), times) is None


async def test_signing_out_ends_this_session_alone(pool: Pool, passwords: Passwords, user: User) -> None:
    """The others continue."""
    (first, signed_in), (second, _) = await begun(pool, passwords), await begun(pool, passwords)

    await sessions.logout(pool, signed_in, ADDRESS)

    assert await found(pool, first) is None
    assert await found(pool, second) is not None


async def test_the_others_end_and_this_one_goes_on(pool: Pool, passwords: Passwords, user: User) -> None:
    """Only this one is listed then."""
    (first, signed_in), (second, _) = await begun(pool, passwords), await begun(pool, passwords)

    await sessions.end_others(pool, signed_in, ADDRESS)

    assert await found(pool, second) is None
    assert [each.id for each in await sessions.list_sessions(pool, signed_in)] == [first.family_id]


async def test_a_session_is_ended_once_and_by_its_user(pool: Pool, passwords: Passwords, user: User) -> None:
    """A foreign, an unknown and an ended one are not found."""
    (first, signed_in), (second, _) = await begun(pool, passwords), await begun(pool, passwords)
    stranger = SignedIn(uuid4(), "you@example.com", "", user.created_at, family_id=first.family_id)

    with pytest.raises(NotFound):
        await sessions.end(pool, stranger, second.family_id, ADDRESS)
    await sessions.end(pool, signed_in, second.family_id, ADDRESS)
    with pytest.raises(NotFound):
        await sessions.end(pool, signed_in, second.family_id, ADDRESS)

    assert await found(pool, second) is None


async def test_another_password_ends_the_other_sessions(pool: Pool, passwords: Passwords, user: User) -> None:
    """Clients that signed in with the old one are signed out, and the new one signs in."""
    (first, signed_in), (second, _) = await begun(pool, passwords), await begun(pool, passwords)

    await changed(pool, passwords, signed_in, PASSWORD, NEW)

    assert await found(pool, first) is not None
    assert await found(pool, second) is None
    await begun(pool, passwords, NEW)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("wrong horse battery", NEW, WrongPassword),
        (PASSWORD, PASSWORD, InvalidInput),
        (PASSWORD, "password", WeakPassword),
    ],
)
async def test_a_password_that_is_refused_changes_nothing(
    pool: Pool,
    passwords: Passwords,
    user: User,
    database: Postgres,
    old: str,
    new: str,
    error: type[Exception],
) -> None:
    """The old one stays valid, and the other sessions continue."""
    (_, signed_in), (second, _) = await begun(pool, passwords), await begun(pool, passwords)

    with pytest.raises(error):
        await changed(pool, passwords, signed_in, old, new)

    assert await run(database, "select password_hash from users") == [(user.password_hash,)]
    assert await found(pool, second) is not None


async def changed(pool: Pool, passwords: Passwords, user: SignedIn, old: str, new: str) -> None:
    """Change the password."""
    change = Change(Secret(old), Secret(new), ADDRESS)
    await change_password(pool, passwords, Proving(pool, passwords), user, change)
