"""Refreshing: a token is exchanged once, repeated for 20 seconds, and a late repeat ends the session."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.values import Secret
from contracts.wire.key_files import SigningKeys
from deploy.local.postgres import Postgres
from gateway.errors import NotSignedIn, RateLimitExceeded, RefreshTokenReused, UserDisabled
from gateway.identity.login import login
from gateway.identity.passwords import Passwords
from gateway.identity.refresh import Refreshing
from gateway.identity.tokens import Renewed
from gateway.store import disabled_users
from gateway.store.pool import Pool
from gateway.store.users import User
from tests.gateway.allowing import allowing
from tests.gateway.identity.presenting import ADDRESS, presented
from tests.system.test_sweeper import run

KEY = Ed25519PrivateKey.generate()
LATE = "update refresh_tokens set used_at = now() - interval '21 s' where used_at is not null"
OVER = "select revoked_at is not null from refresh_families"


def refreshing(pool: Pool, **quotas: int) -> Refreshing:
    """Return the part of a gateway that exchanges refresh tokens."""
    return Refreshing(pool, SigningKeys(KEY), allowing(**quotas))


async def begun(pool: Pool, passwords: Passwords) -> Renewed:
    """Begin a session."""
    return await login(pool, passwords, allowing(), presented())


async def test_a_token_is_exchanged_for_its_successor(pool: Pool, passwords: Passwords, user: User) -> None:
    """The session continues, and the successor can be exchanged in turn."""
    session = await begun(pool, passwords)

    first = await refreshing(pool).refresh(session.refresh_token, ADDRESS)
    second = await refreshing(pool).refresh(first.refresh_token, ADDRESS)

    assert {each.family_id for each in (session, first, second)} == {session.family_id}
    assert len({each.refresh_token.reveal() for each in (session, first, second)}) == 3


async def test_a_repeat_in_time_gets_the_same_successor(pool: Pool, passwords: Passwords, user: User) -> None:
    """At another gateway, too, because it is derived with the shared key."""
    session = await begun(pool, passwords)

    answers = [await refreshing(pool).refresh(session.refresh_token, ADDRESS) for _ in range(2)]

    assert len({each.refresh_token.reveal() for each in answers}) == 1


async def test_a_repeat_at_a_gateway_that_signs_with_another_live_key_gets_the_same_successor(
    pool: Pool, passwords: Passwords, user: User
) -> None:
    """Both gateways know both keys while keys are rotated; without the earlier key it is a reuse."""
    other = Ed25519PrivateKey.generate()
    learned, signing, after = SigningKeys(KEY, (other,)), SigningKeys(other, (KEY,)), SigningKeys(other)
    for first, second in ((learned, signing), (signing, learned)):
        session = await begun(pool, passwords)

        answers = [
            await Refreshing(pool, keys, allowing()).refresh(session.refresh_token, ADDRESS)
            for keys in (first, second, first)
        ]

        assert len({each.refresh_token.reveal() for each in answers}) == 1
        following = await Refreshing(pool, second, allowing()).refresh(answers[0].refresh_token, ADDRESS)
        assert following.family_id == session.family_id
    session = await begun(pool, passwords)
    await Refreshing(pool, learned, allowing()).refresh(session.refresh_token, ADDRESS)
    with pytest.raises(RefreshTokenReused):
        await Refreshing(pool, after, allowing()).refresh(session.refresh_token, ADDRESS)


async def test_a_late_repeat_ends_the_session(
    pool: Pool, passwords: Passwords, user: User, database: Postgres
) -> None:
    """Another client may have the token: no token of the session is accepted, and the audit records it."""
    session = await begun(pool, passwords)
    successor = await refreshing(pool).refresh(session.refresh_token, ADDRESS)
    await run(database, LATE)

    with pytest.raises(RefreshTokenReused):
        await refreshing(pool).refresh(session.refresh_token, ADDRESS)

    assert await run(database, OVER) == [(True,)]
    assert await run(database, "select subject from audit where action = 'refresh_reused'") == [
        (session.family_id,)
    ]
    with pytest.raises(NotSignedIn, match="unauthorized"):
        await refreshing(pool).refresh(successor.refresh_token, ADDRESS)


@pytest.mark.parametrize("token", ["unknown", "x" * 129])
async def test_what_is_not_ours_is_refused(pool: Pool, token: str) -> None:
    """A token that no gateway issued ends no session."""
    with pytest.raises(NotSignedIn, match="unauthorized"):
        await refreshing(pool).refresh(Secret(token), ADDRESS)


async def test_one_too_many_leaves_the_token_unused(
    pool: Pool, passwords: Passwords, user: User, database: Postgres
) -> None:
    """A refusal changes nothing: the token can be exchanged after the window."""
    session = await begun(pool, passwords)
    first = await refreshing(pool, refresh=1).refresh(session.refresh_token, ADDRESS)
    with pytest.raises(RateLimitExceeded):
        await refreshing(pool, refresh=1).refresh(first.refresh_token, ADDRESS)
    await run(database, "update rate_limits set ends_at = now()")

    await refreshing(pool, refresh=1).refresh(first.refresh_token, ADDRESS)

    assert await run(database, OVER) == [(False,)]


async def test_a_disabled_users_token_is_counted_and_not_used(
    pool: Pool, passwords: Passwords, user: User, database: Postgres
) -> None:
    """The refusal uses nothing up but the limit, and the session goes on when the user is enabled."""
    session = await begun(pool, passwords)
    stored = "select family_id, hash, used_at from refresh_tokens"
    before = await run(database, stored)
    async with pool.transaction() as connection:
        await disabled_users.disable(connection, user.id)

    for error in (UserDisabled, UserDisabled, RateLimitExceeded):
        with pytest.raises(error):
            await refreshing(pool, refresh=2).refresh(session.refresh_token, ADDRESS)

    assert await run(database, stored) == before
    async with pool.transaction() as connection:
        await disabled_users.enable(connection, user.id)
    following = await refreshing(pool).refresh(session.refresh_token, ADDRESS)
    assert following.family_id == session.family_id
