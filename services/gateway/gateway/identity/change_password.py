"""Changing the password of a signed-in user."""

import msgspec

from contracts.values import Secret
from gateway.errors import InvalidInput, WrongPassword
from gateway.identity.passwords import Passwords
from gateway.identity.presented import check_new_password
from gateway.identity.proof import Proving
from gateway.identity.tokens import SignedIn
from gateway.limits import client_network
from gateway.store import audit, networks, sessions, users
from gateway.store.audit import Action
from gateway.store.pool import Pool


class Change(msgspec.Struct, frozen=True):
    """The current password, the new one, and the client's address."""

    old: Secret
    new: Secret
    address: str | None


async def change_password(
    pool: Pool, passwords: Passwords, proving: Proving, user: SignedIn, change: Change
) -> None:
    """Change the password and end all other sessions; this one stays signed in.

    Raises InvalidInput, WeakPassword, WrongPassword, LoginThrottled and TooBusy.
    """
    check_new_password(change.new, user.email)
    if change.new.reveal() == change.old.reveal():
        raise InvalidInput("The new password is the old one: choose another.")
    await proving.prove(user, change.old, change.address)
    password_hash = await passwords.hash(change.new, str(user.id), known=True)
    async with pool.transaction() as connection:
        if not await users.replace_password(connection, user, password_hash):
            raise WrongPassword
        ended = await sessions.end_others(connection, user.id, user.family_id)
        await networks.forget_others(connection, user.id, client_network(change.address))
        await audit.record(
            connection,
            Action.PASSWORD_CHANGED,
            user.id,
            user.id,
            address=change.address,
            sessions_ended=ended,
        )
