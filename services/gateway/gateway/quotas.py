"""Counting requests against quotas, for users, logins and client addresses alike."""

from collections.abc import Sequence

from gateway.errors import RateLimitExceeded
from gateway.limits import Allowance, Charge
from gateway.store import limits
from gateway.store.pool import Connection


async def admit(connection: Connection, charges: Sequence[Charge]) -> tuple[Allowance, ...]:
    """Count one use of each charge; returns the remaining allowances.

    Raises RateLimitExceeded; the caller must then roll back.
    """
    allowances = []
    for policy, subject in charges:
        allowances.append(await limits.take(connection, policy, subject))
        require_room(allowances[-1])
    return tuple(allowances)


def require_room(allowance: Allowance) -> None:
    """Raise RateLimitExceeded if the last use exceeded the quota."""
    if allowance.exceeded:
        raise RateLimitExceeded(allowance)


async def look_for_room(connection: Connection, charges: Sequence[Charge]) -> None:
    """Raise RateLimitExceeded if one more use would exceed a charge's quota; does not count."""
    for policy, subject in charges:
        allowance = await limits.look(connection, policy, subject)
        if not allowance.left:
            raise RateLimitExceeded(allowance)
