"""Consecutive failed logins, counted for all gateways together.

They are counted per email address, and per user and network for networks of earlier logins.
"""

import hashlib

import msgspec

from gateway.limits import FREE_FAILURES, LOGIN_DELAYS
from gateway.store.pool import Connection, execute, fetch_one


class Wait(msgspec.Struct, frozen=True):
    """The seconds until the next password check is allowed."""

    seconds: float


async def begin(connection: Connection, subject: str) -> float:
    """Count a login as failed until it succeeds; returns the seconds to wait if it is refused now."""
    begun = await execute(
        connection,
        """insert into login_failures as kept (email_hash, failures, attempted_at, blocked_until)
           values (%(hash)s, 1, statement_timestamp(),
                   statement_timestamp() + make_interval(secs => (%(delays)s::float8[])[1]))
           on conflict (email_hash) do update
           set failures = kept.failures + 1, attempted_at = statement_timestamp(),
               blocked_until = statement_timestamp() + make_interval(
                   secs => (%(delays)s::float8[])[least(kept.failures + 1, %(most)s)])
           where kept.blocked_until <= statement_timestamp()""",
        hash=_hash(subject),
        delays=LOGIN_DELAYS,
        most=len(LOGIN_DELAYS),
    )
    if begun:
        return 0.0
    wait = await fetch_one(
        connection,
        Wait,
        """select extract(epoch from blocked_until - statement_timestamp())::float8 as seconds
           from login_failures where email_hash = %(hash)s""",
        hash=_hash(subject),
    )
    return max(wait.seconds, 1.0) if wait else 1.0


async def forgive(connection: Connection, subject: str) -> None:
    """Undo the count of a login whose password was not checked."""
    await execute(
        connection,
        """update login_failures set failures = failures - 1, blocked_until = statement_timestamp()
           where email_hash = %(hash)s""",
        hash=_hash(subject),
    )


async def forget(connection: Connection, subject: str) -> None:
    """Delete the failures before a successful login."""
    await execute(connection, "delete from login_failures where email_hash = %(hash)s", hash=_hash(subject))


async def delete_old(connection: Connection, limit: int) -> int:
    """Delete old failures, at most `limit`; returns how many.

    Failures without a delay are deleted an hour after the last one, others after a day.
    """
    return await execute(
        connection,
        """delete from login_failures where email_hash in (
               select email_hash from login_failures where attempted_at < now() - interval '1 hour'
                  and (failures <= %(free)s or attempted_at < now() - interval '1 day')
               limit %(limit)s for update skip locked)""",
        free=FREE_FAILURES,
        limit=limit,
    )


def _hash(subject: str) -> bytes:
    """Hash a subject, so that the table holds no email addresses of strangers."""
    return hashlib.sha256(subject.encode()).digest()
