"""Counters of rate limits, shared by all gateways."""

from typing import Any, LiteralString

import msgspec

from gateway.limits import Allowance, Charge, Policy
from gateway.store.pool import Connection, fetch_one


class Counter(msgspec.Struct, frozen=True):
    """The number of uses in a window, and the seconds until the window ends."""

    used: int
    seconds: float


# Counts one use of %(policy)s by %(subject)s, and returns the counter.
COUNT: LiteralString = """
    insert into rate_limits as kept (policy, subject, used, ends_at)
    values (%(policy)s, %(subject)s, 1, statement_timestamp() + make_interval(secs => %(window)s))
    on conflict (policy, subject) do update
    set used = case when kept.ends_at <= statement_timestamp() then 1
                    else least(kept.used, %(quota)s) + 1 end,
        ends_at = case when kept.ends_at <= statement_timestamp() then excluded.ends_at
                       else kept.ends_at end
    returning used, extract(epoch from ends_at - statement_timestamp())::float8 as seconds"""


def counting(charge: Charge) -> dict[str, Any]:
    """Return the values of COUNT."""
    policy, subject = charge
    return {"policy": policy.name, "subject": subject, "window": policy.window, "quota": policy.quota}


async def take(connection: Connection, policy: Policy, subject: str) -> Allowance:
    """Count one use; if it exceeds the quota, the caller rolls back and the use is not counted.

    Other transactions with the same subject wait until this one ends. The time is that of the statement, not
    of its transaction, which may have waited before.
    """
    counter = await fetch_one(
        connection,
        Counter,
        COUNT,
        **counting((policy, subject)),
    )
    assert counter is not None  # noqa: S101 - an upsert returns its row
    return Allowance(policy, counter.used, counter.seconds)


async def look(connection: Connection, policy: Policy, subject: str) -> Allowance:
    """Return the remaining allowance without counting."""
    counter = await fetch_one(
        connection,
        Counter,
        """select used, extract(epoch from ends_at - statement_timestamp())::float8 as seconds
           from rate_limits
           where policy = %(policy)s and subject = %(subject)s and ends_at > statement_timestamp()""",
        policy=policy.name,
        subject=subject,
    )
    return Allowance(policy, counter.used, counter.seconds) if counter else Allowance(policy, 0, 0.0)
