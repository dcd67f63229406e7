"""Signing in: the password is checked, and a session begins."""

from uuid_utils.compat import uuid7

from gateway.errors import GatewayError, LoginThrottled, NotSignedIn, UserDisabled
from gateway.identity.passwords import Passwords
from gateway.identity.presented import Presented, checked_email
from gateway.identity.throttle import Attempt, admit_login, count_failure, count_success, forgiving
from gateway.identity.tokens import REFRESH_LIFE, Renewed, new_refresh_token, refresh_hash
from gateway.limits import Limits
from gateway.store import audit, disabled_users, sessions, users
from gateway.store.audit import Action
from gateway.store.pool import Connection, Pool, database_time
from gateway.store.users import User


async def login(pool: Pool, passwords: Passwords, allowed: Limits, presented: Presented) -> Renewed:
    """Begin a session; an unknown email address gets the response of a wrong password, in the same time.

    Raises InvalidInput, NotSignedIn, LoginThrottled, RateLimitExceeded and TooBusy, and UserDisabled after
    the right password.
    """
    email, address = checked_email(presented.email), presented.address
    async with pool.transaction() as connection:
        attempt = await admit_login(connection, allowed, email, address)
    user, known = attempt.user, attempt.known
    async with forgiving(pool, attempt.counted):
        password_hash = user.password_hash if user else None
        matches = await passwords.matches(password_hash, presented.password, attempt.client, known=known)
    async with pool.transaction() as connection:
        if user is not None and matches and await users.hold_password(connection, user):
            await count_success(connection, allowed, attempt, user)
            if await disabled_users.disabled_at(connection, user.id) is None:
                return await _begun(connection, user, attempt.network, address)
            refusal: GatewayError = UserDisabled()
        else:
            await count_failure(connection, allowed.login, attempt)
            refusal = _refusal(attempt)
        await audit.record(connection, Action.LOGIN_FAILED, user.id if user else None, address=address)
    raise refusal


def _refusal(attempt: Attempt) -> GatewayError:
    if attempt.refusal:
        return LoginThrottled(attempt.refusal)
    return NotSignedIn("The email address or the password is wrong.")


async def _begun(connection: Connection, user: User, network: str, address: str | None) -> Renewed:
    family_id, refresh_token = uuid7(), new_refresh_token()
    await users.insert_family(connection, family_id, user.id, REFRESH_LIFE)
    await users.insert_refresh_token(connection, refresh_hash(refresh_token), family_id)
    await sessions.insert_network(connection, family_id, network)
    await audit.record(connection, Action.LOGIN_SUCCEEDED, user.id, family_id, address=address)
    return Renewed(user.id, family_id, refresh_token, await database_time(connection))
