"""The sessions of a user who is signed in: this one and the others, listed and ended."""

from uuid import UUID

from gateway.errors import NotFound
from gateway.identity.tokens import SignedIn
from gateway.store import audit, sessions, users
from gateway.store.audit import Action
from gateway.store.pool import Pool
from gateway.store.sessions import Session
from gateway.store.users import Times

MAX_LISTED = 100


async def find_signed_in(pool: Pool, user_id: UUID, family_id: UUID, times: Times) -> SignedIn | None:
    """Find the user of an access token; None when it names none, is over, or its session has ended."""
    async with pool.transaction() as connection:
        user = await users.find_signed_in(connection, user_id, family_id, times)
    if user is None:
        return None
    return SignedIn(user.id, user.email, user.password_hash, user.created_at, family_id=family_id)


async def list_sessions(pool: Pool, user: SignedIn) -> list[Session]:
    """List the sessions that last: this one first, then those used last; 100 at most."""
    async with pool.transaction() as connection:
        return await sessions.list_sessions(connection, user.id, user.family_id, MAX_LISTED)


async def logout(pool: Pool, user: SignedIn, address: str | None) -> None:
    """End this session."""
    async with pool.transaction() as connection:
        await users.revoke_family(connection, user.family_id)
        await audit.record(connection, Action.LOGGED_OUT, user_id=user.id, address=address)


async def end(pool: Pool, user: SignedIn, session_id: UUID, address: str | None) -> None:
    """End a session of the user; raises NotFound."""
    async with pool.transaction() as connection:
        if not await sessions.end(connection, user.id, session_id):
            raise NotFound
        await audit.record(
            connection, Action.SESSION_ENDED, user_id=user.id, subject=session_id, address=address
        )


async def end_others(pool: Pool, user: SignedIn, address: str | None) -> None:
    """End every session of the user but this one."""
    async with pool.transaction() as connection:
        ended = await sessions.end_others(connection, user.id, user.family_id)
        await audit.record(
            connection,
            Action.OTHER_SESSIONS_ENDED,
            user_id=user.id,
            subject=user.family_id,
            address=address,
            sessions_ended=ended,
        )
