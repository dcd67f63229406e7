"""Limits, counted per user, per email address or per client address."""

from collections.abc import Sequence

import msgspec

from gateway.errors import LoginThrottled, RateLimitExceeded
from gateway.limits import Allowance, Charge, Limits, Policy, client_network
from gateway.store import limits, logins, networks, users
from gateway.store.pool import Connection
from gateway.store.users import RefreshToken, User


class Attempt(msgspec.Struct, frozen=True):
    """A login whose password may be checked; `counted` are the subjects for which it is a failure until then.

    `client` is who tries: a user from a network that is `known` for signing in, or just a network. `refusal`
    are the seconds that a stranger has to wait now: a wrong password gets the answer that they get.
    """

    user: User | None
    network: str
    client: str
    known: bool
    counted: tuple[str, ...]
    refusal: float


async def admit_login(connection: Connection, allowed: Limits, email: str, address: str | None) -> Attempt:
    """Let a password be checked, counted as a failure until it is right.

    Raises LoginThrottled and RateLimitExceeded.

    Counting first is what makes many tries at once no more than a few one after the other. From a network
    where the user signed in before, only failures of the same user from there delay a login: neither those
    for the same email address from elsewhere nor those for other users count, and nothing that other users
    change from the same address refuses or delays it.
    """
    user, network = await users.find_by_email(connection, email), client_network(address)
    known = await networks.is_known(connection, email, network)
    client = f"{user.id} {network}" if user and known else network
    own = await _own_wait(connection, allowed, client) if known else 0.0
    failed = await limits.look(connection, allowed.login, network)
    refusal = own or (0.0 if failed.left else failed.seconds) or await logins.begin(connection, email)
    if own or (refusal and not known):
        raise LoginThrottled(refusal)
    counted = (*([client] if known else []), *([] if refusal else [email]))
    return Attempt(user, network, client, known, counted, refusal)


async def count_failure(connection: Connection, policy: Policy, attempt: Attempt) -> None:
    """Count a failed login of a client address."""
    await limits.take(connection, policy, attempt.network)


async def count_success(connection: Connection, allowed: Limits, attempt: Attempt, user: User) -> None:
    """Count a login that succeeded, forget the failures before it and remember where it came from."""
    for subject in attempt.counted:
        await logins.forget(connection, subject)
    await limits.take(connection, allowed.signed_in, f"{user.id} {attempt.network}")
    await networks.remember(connection, user.id, attempt.network)


async def forgive(connection: Connection, attempt: Attempt) -> None:
    """Take back the count of a login whose password was not checked."""
    for subject in attempt.counted:
        await logins.forgive(connection, subject)


async def admit_refresh(
    connection: Connection, allowed: Limits, token: RefreshToken | None, address: str | None
) -> None:
    """Count the use of a refresh token for its login and its user, never for all users of an address.

    One that is not ours counts for the client's address, apart from what users do there. Raises
    RateLimitExceeded, after which the token is as it was.
    """
    if token is None:
        await admit(connection, [(allowed.refresh, client_network(address))])
    else:
        own = [(allowed.refresh, str(token.family_id)), (allowed.write, str(token.user_id))]
        await admit(connection, own)


async def admit(connection: Connection, charges: Sequence[Charge]) -> tuple[Allowance, ...]:
    """Count one time for each charge; gives what is left.

    Raises RateLimitExceeded; then the caller rolls all back.
    """
    allowances = []
    for policy, subject in charges:
        allowances.append(await limits.take(connection, policy, subject))
        if allowances[-1].exceeded:
            raise RateLimitExceeded(allowances[-1])
    return tuple(allowances)


async def look_for_room(connection: Connection, charges: Sequence[Charge]) -> None:
    """Raise RateLimitExceeded when one more of a charge would be one too many; counts nothing."""
    for policy, subject in charges:
        allowance = await limits.look(connection, policy, subject)
        if not allowance.left:
            raise RateLimitExceeded(allowance)


async def _own_wait(connection: Connection, allowed: Limits, client: str) -> float:
    """Count a try of a client that is known; gives the seconds to wait when that may not be now."""
    await look_for_room(connection, [(allowed.signed_in, client)])
    return await logins.begin(connection, client)
