"""Counting logins and token refreshes per user, email address and client address."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from gateway.errors import LoginThrottled, TooBusy
from gateway.limits import Limits, Policy, client_network
from gateway.quotas import admit, look_for_room
from gateway.store import limits, logins, networks, users
from gateway.store.pool import Connection, Pool
from gateway.store.users import RefreshToken, User


class Attempt(msgspec.Struct, frozen=True):
    """A login whose password may be checked; until it succeeds it counts as failed for `counted`.

    `client` is the user together with a network that is `known` from earlier logins, or only the network.
    `refusal` is the wait in seconds of an unknown client; a wrong password gets the same response.
    """

    user: User | None
    network: str
    client: str
    known: bool
    counted: tuple[str, ...]
    refusal: float


async def admit_login(connection: Connection, allowed: Limits, email: str, address: str | None) -> Attempt:
    """Admit a login to the password check; it counts as failed until the password is right.

    Raises LoginThrottled and RateLimitExceeded.

    The login counts before the check, so that concurrent attempts are limited like consecutive ones. From a
    network where the user signed in before, only the user's own failures from that network delay a login.
    Failures for the same email address from elsewhere, failures of other users, and other users' requests
    from the same address do not delay or refuse it.
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
    """Count a successful login, reset the failures before it, and store its network."""
    for subject in attempt.counted:
        await logins.forget(connection, subject)
    await limits.take(connection, allowed.signed_in, f"{user.id} {attempt.network}")
    await networks.remember(connection, user.id, attempt.network)


@asynccontextmanager
async def forgiving(pool: Pool, counted: Sequence[str]) -> AsyncIterator[None]:
    """Check a password that counts as wrong; if the check can not run, undo the counts. Raises TooBusy."""
    try:
        yield
    except TooBusy:
        async with pool.transaction() as connection:
            for subject in counted:
                await logins.forgive(connection, subject)
        raise


async def admit_refresh(
    connection: Connection, allowed: Limits, token: RefreshToken | None, address: str | None
) -> None:
    """Count the use of a refresh token for its login and its user, never for all users of an address.

    An unknown token counts for the client's address, separately from the users there. Raises
    RateLimitExceeded; the token is then unchanged.
    """
    if token is None:
        await admit(connection, [(allowed.refresh, client_network(address))])
    else:
        own = [(allowed.refresh, str(token.family_id)), (allowed.write, str(token.user_id))]
        await admit(connection, own)


async def _own_wait(connection: Connection, allowed: Limits, client: str) -> float:
    """Count an attempt of a known client; returns the seconds to wait if it is refused now."""
    await look_for_room(connection, [(allowed.signed_in, client)])
    return await logins.begin(connection, client)
