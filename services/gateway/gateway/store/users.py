"""Users and their refresh tokens."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from gateway.store.pool import Connection, execute, fetch_one

# Gateways of before wrote their own time into tokens.
EARLY = timedelta(seconds=120)


class User(msgspec.Struct, frozen=True):
    """A user as stored; the hash is argon2id and never leaves the gateway."""

    id: UUID
    email: str
    password_hash: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"User({self.id})"


class Times(msgspec.Struct, frozen=True):
    """From when until when an access token counts."""

    issued_at: datetime
    expires_at: datetime


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token with the state of its family."""

    family_id: UUID
    user_id: UUID
    used: bool
    family_over: bool


async def insert_user(connection: Connection, user_id: UUID, email: str, password_hash: str) -> User | None:
    """Add a user; None when the address is taken."""
    return await fetch_one(
        connection,
        User,
        """insert into users (id, email, password_hash) values (%(id)s, %(email)s, %(hash)s)
           on conflict do nothing returning *""",
        id=user_id,
        email=email,
        hash=password_hash,
    )


async def find_by_email(connection: Connection, email: str) -> User | None:
    """Find a user by the address, in lower case."""
    return await fetch_one(connection, User, "select * from users where email = %(email)s", email=email)


async def find_signed_in(connection: Connection, user_id: UUID, family_id: UUID, times: Times) -> User | None:
    """Find the user of an access token that is not over and whose family was not revoked."""
    return await fetch_one(
        connection,
        User,
        """select users.* from users join refresh_families family on family.user_id = users.id
           where users.id = %(user_id)s and family.id = %(family_id)s and family.revoked_at is null
             and %(expires_at)s > now() and %(issued_at)s <= now() + %(early)s""",
        user_id=user_id,
        family_id=family_id,
        expires_at=times.expires_at,
        issued_at=times.issued_at,
        early=EARLY,
    )


async def lock_user(connection: Connection, user_id: UUID) -> None:
    """Let one transaction at a time add to what a user has."""
    await connection.execute("select 1 from users where id = %s for update", [user_id])


async def insert_family(connection: Connection, family_id: UUID, user_id: UUID, life: timedelta) -> None:
    """Begin a family of refresh tokens that lasts so long."""
    await execute(
        connection,
        """insert into refresh_families (id, user_id, expires_at)
           values (%(id)s, %(user_id)s, now() + %(life)s)""",
        id=family_id,
        user_id=user_id,
        life=life,
    )


async def insert_refresh_token(connection: Connection, token_hash: bytes, family_id: UUID) -> None:
    """Add the next token of a family."""
    await execute(
        connection,
        "insert into refresh_tokens (hash, family_id) values (%(hash)s, %(family_id)s)",
        hash=token_hash,
        family_id=family_id,
    )


async def take_refresh_token(connection: Connection, token_hash: bytes) -> RefreshToken | None:
    """Mark a refresh token used and tell whether it already was; locks its row."""
    token = await fetch_one(
        connection,
        RefreshToken,
        """select token.family_id, family.user_id, token.used_at is not null as used,
                  family.revoked_at is not null or family.expires_at <= now() as family_over
           from refresh_tokens token join refresh_families family on family.id = token.family_id
           where token.hash = %(hash)s for update of token""",
        hash=token_hash,
    )
    if token is not None:
        await execute(
            connection,
            "update refresh_tokens set used_at = coalesce(used_at, now()) where hash = %(hash)s",
            hash=token_hash,
        )
    return token


async def revoke_family(connection: Connection, family_id: UUID) -> None:
    """End a family and every access token made from it."""
    await execute(
        connection,
        "update refresh_families set revoked_at = coalesce(revoked_at, now()) where id = %(id)s",
        id=family_id,
    )


async def delete_expired_families(connection: Connection, limit: int) -> int:
    """Forget families whose last token is over; gives how many, at most the limit."""
    return await execute(
        connection,
        """delete from refresh_families where id in (
               select id from refresh_families where expires_at < now() - interval '1 day'
               limit %(limit)s for update skip locked)""",
        limit=limit,
    )
