"""Signing in: only the right password begins a session, and failures are counted."""

import pytest

from deploy.local.postgres import Postgres
from gateway.errors import LoginThrottled, NotSignedIn, TooBusy
from gateway.identity.login import login
from gateway.identity.passwords import Passwords
from gateway.identity.tokens import refresh_hash
from gateway.store.pool import Pool
from gateway.store.users import User
from tests.gateway.allowing import allowing
from tests.gateway.identity.presenting import ADDRESS, presented
from tests.system.test_sweeper import run

ALLOWED = allowing()
SESSIONS = """
    select family.id, family.user_id, token.hash, network.network from refresh_families family
    join refresh_tokens token on token.family_id = family.id
    join session_networks network on network.family_id = family.id
"""
LOGINS = "select action from audit where action in ('login_succeeded', 'login_failed') order by id"


async def test_the_right_password_begins_a_session(
    pool: Pool, passwords: Passwords, user: User, database: Postgres
) -> None:
    """The database stores its refresh token as a hash, with the network of the client."""
    begun = await login(pool, passwords, ALLOWED, presented("ME@example.com "))

    assert begun.user_id == user.id
    assert await run(database, SESSIONS) == [
        (begun.family_id, user.id, refresh_hash(begun.refresh_token), ADDRESS)
    ]
    assert await run(database, LOGINS) == [("login_succeeded",)]
    assert await run(database, "select 1 from login_failures") == []


@pytest.mark.parametrize("email", ["me@example.com", "stranger@example.com"])
async def test_a_wrong_password_and_an_unknown_address_are_refused_alike(
    pool: Pool, passwords: Passwords, user: User, database: Postgres, email: str
) -> None:
    """The words do not reveal whether the address is registered; the failure is counted and audited."""
    with pytest.raises(NotSignedIn) as caught:
        await login(pool, passwords, ALLOWED, presented(email, "wrong horse battery"))

    assert caught.value.detail == "The email address or the password is wrong."
    assert await run(database, "select 1 from refresh_families") == []
    assert await run(database, LOGINS) == [("login_failed",)]
    assert await run(database, "select failures from login_failures") == [(1,)]


async def test_the_fifth_failure_delays_the_next_try(
    pool: Pool, passwords: Passwords, user: User, database: Postgres
) -> None:
    """During the delay even the right password is not checked, and the refusal says for how long."""
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            await login(pool, passwords, ALLOWED, presented(password="wrong horse battery"))
    await run(database, "update login_failures set blocked_until = now() + interval '60 s'")

    with pytest.raises(LoginThrottled) as caught:
        await login(pool, passwords, ALLOWED, presented())

    assert caught.value.retry_after in range(50, 61)
    assert await run(database, "select 1 from refresh_families") == []


async def test_a_login_that_was_not_checked_is_no_failure(pool: Pool, user: User, database: Postgres) -> None:
    """A gateway that is too busy for the password undoes the count."""
    busy = Passwords(0)

    with pytest.raises(TooBusy):
        await login(pool, busy, ALLOWED, presented())

    busy.close()
    assert await run(database, "select failures from login_failures") == [(0,)]
    assert await run(database, LOGINS) == []


async def test_a_deleted_user_can_not_sign_in(
    pool: Pool, passwords: Passwords, user: User, database: Postgres
) -> None:
    """The stored placeholder of the hash matches no password."""
    await run(database, "update users set password_hash = 'deleted'")

    with pytest.raises(NotSignedIn):
        await login(pool, passwords, ALLOWED, presented())
