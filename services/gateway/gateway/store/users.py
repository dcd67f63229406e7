"""Users and their refresh tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from gateway.store.pool import Connection, execute, fetch_one

# Earlier gateway versions wrote the time of their own clock into tokens.
EARLY = timedelta(seconds=120)
# The password hash of a deleted user; no password matches it.
NO_PASSWORD = "deleted"  # noqa: S105 - see above


class User(msgspec.Struct, frozen=True):
    """A user as stored; the hash is argon2id and never leaves the gateway."""

    id: UUID
    email: str
    password_hash: str
    created_at: datetime

    def __repr__(self) -> str:
        return f"User({self.id})"


class Bearer(User, frozen=True):
    """The user of an access token, whom an operator may have disabled."""

    disabled: bool


class Times(msgspec.Struct, frozen=True):
    """The validity period of an access token."""

    issued_at: datetime
    expires_at: datetime


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token as it was before this use, with the state of its family.

    `repeated` is the hash of its successor if it was used a short time ago and its successor was not used.
    """

    family_id: UUID
    user_id: UUID
    used: bool
    repeated: bytes | None
    family_over: bool


async def insert_user(connection: Connection, user_id: UUID, email: str, password_hash: str) -> User | None:
    """Add a user; None if the email address is taken."""
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
    """Find a user by the email address in lower case."""
    return await fetch_one(connection, User, "select * from users where email = %(email)s", email=email)


async def find_signed_in(
    connection: Connection, user_id: UUID, family_id: UUID, times: Times
) -> Bearer | None:
    """Find the user of an access token that has not expired and whose family was not revoked."""
    return await fetch_one(
        connection,
        Bearer,
        """select users.*, exists (select from disabled_users where user_id = users.id) as disabled
           from users join refresh_families family on family.user_id = users.id
           where users.id = %(user_id)s and family.id = %(family_id)s and family.revoked_at is null
             and %(expires_at)s > now() and %(issued_at)s <= now() + %(early)s""",
        user_id=user_id,
        family_id=family_id,
        expires_at=times.expires_at,
        issued_at=times.issued_at,
        early=EARLY,
    )


async def lock_user(connection: Connection, user_id: UUID) -> bool:
    """Lock a user, so that one transaction at a time adds to their data; False if the user was deleted."""
    rows = await connection.execute(
        "select 1 from users where id = %s and password_hash <> %s for no key update", [user_id, NO_PASSWORD]
    )
    return await rows.fetchone() is not None


async def hold_password(connection: Connection, user: User) -> bool:
    """Lock a password against changes; False if it was changed or the user deleted."""
    rows = await connection.execute(
        "select 1 from users where id = %s and password_hash = %s for share", [user.id, user.password_hash]
    )
    return await rows.fetchone() is not None


async def replace_password(connection: Connection, user: User, password_hash: str) -> bool:
    """Replace a user's password; False if it was changed meanwhile or the user deleted."""
    replaced = await execute(
        connection,
        "update users set password_hash = %(new)s where id = %(id)s and password_hash = %(old)s",
        id=user.id,
        old=user.password_hash,
        new=password_hash,
    )
    return replaced == 1


async def insert_family(connection: Connection, family_id: UUID, user_id: UUID, life: timedelta) -> None:
    """Insert a family of refresh tokens with a lifetime."""
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


async def take_refresh_token(
    connection: Connection, token_hash: bytes, successors: Sequence[bytes], repeated_within: timedelta
) -> RefreshToken | None:
    """Mark a refresh token as used and return its earlier state; locks its row.

    `successors` are the hashes of the tokens that may have followed it; at most one of them did.
    A separate statement locks the row, so that the next statement sees the changes of earlier lock holders.
    """
    await connection.execute("select 1 from refresh_tokens where hash = %s for update", [token_hash])
    token = await fetch_one(
        connection,
        RefreshToken,
        """select token.family_id, family.user_id, token.used_at is not null as used,
                  (select successor.hash from refresh_tokens successor
                   where successor.hash = any(%(successors)s) and successor.family_id = token.family_id
                     and successor.used_at is null and token.used_at > now() - %(within)s
                   limit 1) as repeated,
                  family.revoked_at is not null or family.expires_at <= now() as family_over
           from refresh_tokens token join refresh_families family on family.id = token.family_id
           where token.hash = %(hash)s""",
        hash=token_hash,
        successors=list(successors),
        within=repeated_within,
    )
    if token is not None and not token.used:
        await execute(
            connection, "update refresh_tokens set used_at = now() where hash = %(hash)s", hash=token_hash
        )
    return token


async def revoke_family(connection: Connection, family_id: UUID) -> None:
    """End a family and all its access tokens."""
    await execute(
        connection,
        "update refresh_families set revoked_at = coalesce(revoked_at, now()) where id = %(id)s",
        id=family_id,
    )
