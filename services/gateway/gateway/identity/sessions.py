"""Listing and ending the sessions of a signed-in user."""

from uuid import UUID

from gateway.errors import NotFound, UserDisabled
from gateway.identity.tokens import SignedIn
from gateway.store import audit, sessions, users
from gateway.store.audit import Action
from gateway.store.pool import Pool
from gateway.store.sessions import Session
from gateway.store.users import Times

MAX_LISTED = 100


async def find_signed_in(pool: Pool, user_id: UUID, family_id: UUID, times: Times) -> SignedIn | None:
    """Return the user of an access token; None if the user is unknown or the token or session has ended.

    Raises UserDisabled.
    """
    user = await pool.single(lambda connection: users.find_signed_in(connection, user_id, family_id, times))
    if user is None:
        return None
    if user.disabled:
        raise UserDisabled
    return SignedIn(user.id, user.email, user.password_hash, user.created_at, family_id=family_id)


async def list_sessions(pool: Pool, user: SignedIn) -> list[Session]:
    """List the active sessions, at most 100: this one first, then the most recently used."""
    async with pool.transaction() as connection:
        return await sessions.list_sessions(connection, user.id, user.family_id, MAX_LISTED)


async def logout(pool: Pool, user: SignedIn, address: str | None) -> None:
    """End this session."""
    async with pool.transaction() as connection:
        await users.revoke_family(connection, user.family_id)
        await audit.record(connection, Action.LOGGED_OUT, user.id, address=address)


async def end(pool: Pool, user: SignedIn, session_id: UUID, address: str | None) -> None:
    """End a session of the user; raises NotFound."""
    async with pool.transaction() as connection:
        if not await sessions.end(connection, user.id, session_id):
            raise NotFound
        await audit.record(connection, Action.SESSION_ENDED, user.id, session_id, address=address)


async def end_others(pool: Pool, user: SignedIn, address: str | None) -> None:
    """End all sessions of the user except this one."""
    async with pool.transaction() as connection:
        ended = await sessions.end_others(connection, user.id, user.family_id)
        await audit.record(
            connection,
            Action.OTHER_SESSIONS_ENDED,
            user.id,
            user.family_id,
            address=address,
            sessions_ended=ended,
        )
