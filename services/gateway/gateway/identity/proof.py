"""Checking the password of a signed-in user before a change that a stolen token must not make."""

from contracts.values import Secret
from gateway.errors import LoginThrottled, WrongPassword
from gateway.identity.passwords import Passwords
from gateway.identity.throttle import forgiving
from gateway.store import audit, logins
from gateway.store.audit import Action
from gateway.store.pool import Pool
from gateway.store.users import User


class Proving:
    """Checks the passwords of signed-in users, with the same delays as logins.

    The delays stop an attacker with a stolen access token from guessing the password. Failures are counted
    separately from failed logins, so strangers can not keep a user from changing the password.
    """

    def __init__(self, pool: Pool, passwords: Passwords) -> None:
        self._pool = pool
        self._passwords = passwords

    async def prove(self, user: User, password: Secret, address: str | None) -> None:
        """Check a password, counted as a failure until it is right.

        Raises WrongPassword, LoginThrottled when too many were wrong, and TooBusy.
        """
        counted_as = str(user.id)
        async with self._pool.transaction() as connection:
            seconds = await logins.begin(connection, counted_as)
        if seconds:
            raise LoginThrottled(seconds)
        async with forgiving(self._pool, [counted_as]):
            matches = await self._passwords.matches(user.password_hash, password, counted_as, known=True)
        async with self._pool.transaction() as connection:
            if matches:
                await logins.forget(connection, counted_as)
            else:
                await audit.record(connection, Action.PASSWORD_REFUSED, user.id, user.id, address=address)
        if not matches:
            raise WrongPassword
