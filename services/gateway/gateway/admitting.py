"""Who may try to sign in or register now, counted per email address and per client address."""

from gateway.limits import Policy, client_network, login_throttled, rate_limit_exceeded
from gateway.store import limits, logins
from gateway.store.pool import Connection


async def admit_login(connection: Connection, policy: Policy, email: str, address: str | None) -> None:
    """Let a password be checked, counted as a failure until it is right; raises Problem.

    Counting first is what makes many tries at once no more than a few one after the other. Whether the email
    address is a user's is not looked at.
    """
    failed = await limits.look(connection, policy, client_network(address))
    if not failed.left:
        raise login_throttled(failed.seconds)
    seconds = await logins.begin(connection, email)
    if seconds:
        raise login_throttled(seconds)


async def count_failure(connection: Connection, policy: Policy, address: str | None) -> None:
    """Count a failed login of a client address."""
    await limits.take(connection, policy, client_network(address))


async def admit_registration(connection: Connection, policy: Policy, address: str | None) -> None:
    """Count a registration; raises Problem."""
    allowance = await limits.take(connection, policy, client_network(address))
    if allowance.exceeded:
        raise rate_limit_exceeded(allowance)
