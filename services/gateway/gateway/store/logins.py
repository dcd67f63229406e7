"""Consecutive failed logins, counted for all gateways together.

They are counted per email address, and per user and network for networks of earlier logins.
"""

import hashlib

from gateway.limits import LOGIN_DELAYS
from gateway.store.pool import Connection, execute, fetch_value


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
    seconds: float | None = await fetch_value(
        connection,
        """select extract(epoch from blocked_until - statement_timestamp())::float8
           from login_failures where email_hash = %(hash)s""",
        hash=_hash(subject),
    )
    return max(seconds or 0.0, 1.0)


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


def _hash(subject: str) -> bytes:
    """Hash a subject, so that the table holds no email addresses of strangers."""
    return hashlib.sha256(subject.encode()).digest()
