"""Registering: one user per email address, with a password that is not easily guessed."""

import pytest

from deploy.local.postgres import Postgres
from gateway.errors import EmailTaken, InvalidInput, TooBusy, WeakPassword
from gateway.identity.passwords import Passwords
from gateway.identity.register import register
from gateway.store.pool import Pool
from tests.gateway.identity.presenting import ADDRESS, PASSWORD, presented
from tests.system.test_sweeper import run


async def test_a_user_is_kept_with_the_hash_of_the_password(
    pool: Pool, passwords: Passwords, database: Postgres
) -> None:
    """The address is in lower case without pasted white space, and the audit names the client."""
    user = await register(pool, passwords, presented(" Me@Example.com\n"))

    assert user.email == "me@example.com"
    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in user.password_hash
    assert await run(database, "select action, user_id, address from audit") == [
        ("user_registered", user.id, ADDRESS)
    ]


async def test_an_address_is_registered_once(pool: Pool, passwords: Passwords, database: Postgres) -> None:
    """In any spelling; the second try writes no row."""
    await register(pool, passwords, presented())

    with pytest.raises(EmailTaken):
        await register(pool, passwords, presented("ME@example.com"))

    assert await run(database, "select count(*) from users") == [(1,)]
    assert await run(database, "select count(*) from audit") == [(1,)]


@pytest.mark.parametrize(
    ("email", "password", "error"),
    [
        ("me", PASSWORD, InvalidInput),
        ("m\u00fc@example.com", PASSWORD, InvalidInput),
        ("me@example.com", "short", InvalidInput),
        ("me@example.com", "x" * 129, InvalidInput),
        ("me@example.com", "password", WeakPassword),
        ("me@example.com", "me@example.com", WeakPassword),
    ],
)
async def test_what_can_not_be_used_is_refused(
    pool: Pool, passwords: Passwords, database: Postgres, email: str, password: str, error: type[Exception]
) -> None:
    """The gateway writes no row."""
    with pytest.raises(error):
        await register(pool, passwords, presented(email, password))

    assert await run(database, "select count(*) from users") == [(0,)]


async def test_too_many_at_once_are_refused(pool: Pool, database: Postgres) -> None:
    """A hash takes 46 MiB, so their number is limited."""
    passwords = Passwords(0)

    with pytest.raises(TooBusy):
        await register(pool, passwords, presented())

    passwords.close()
    assert await run(database, "select count(*) from users") == [(0,)]
