"""Registering a user."""

from uuid_utils.compat import uuid7

from gateway.errors import EmailTaken
from gateway.identity.passwords import Passwords
from gateway.identity.presented import Presented, check_new_password, checked_email
from gateway.limits import client_network
from gateway.store import audit, users
from gateway.store.audit import Action
from gateway.store.pool import Pool
from gateway.store.users import User


async def register(pool: Pool, passwords: Passwords, presented: Presented) -> User:
    """Add a user; raises InvalidInput, WeakPassword, EmailTaken and TooBusy."""
    email, address = checked_email(presented.email), presented.address
    check_new_password(presented.password, email)
    password_hash = await passwords.hash(presented.password, client_network(address))
    async with pool.transaction() as connection:
        user = await users.insert_user(connection, uuid7(), email, password_hash)
        if user is None:
            raise EmailTaken
        await audit.record(connection, Action.USER_REGISTERED, user.id, address=address)
    return user
