"""Limits by number and time: what they allow, and how a client is told.

The header fields are those of draft-ietf-httpapi-ratelimit-headers.
"""

import math
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec

from gateway.errors import Problem

WINDOW_SECONDS = 60
CLIENT_PREFIX = 64  # one client of IPv6 has at least this network to choose addresses from

FREE_FAILURES = 4
LONGEST_DELAY = 15 * 60
DOUBLINGS = LONGEST_DELAY.bit_length()


class Policy(msgspec.Struct, frozen=True):
    """So many times in a window of a minute, which begins with the first time."""

    name: str
    quota: int


class Limits(msgspec.Struct, frozen=True):
    """What a gateway allows: syncs per user, failed logins and registrations per client address."""

    sync: Policy
    sync_all: Policy
    login: Policy
    register: Policy


class Allowance(msgspec.Struct, frozen=True):
    """What a policy still allows somebody; `used` is over the quota for one time too many."""

    policy: Policy
    used: int
    seconds: float

    @property
    def exceeded(self) -> bool:
        """Tell whether this was one time too many."""
        return self.used > self.policy.quota

    @property
    def left(self) -> int:
        """Give how many times are left in this window."""
        return max(self.policy.quota - self.used, 0)

    @property
    def reset(self) -> int:
        """Give the whole seconds until a new window may begin."""
        return max(math.ceil(self.seconds), 0)

    def headers(self) -> dict[str, str]:
        """Write the header fields that tell a client of the policy and what is left of it."""
        name = self.policy.name
        return {
            "RateLimit-Policy": f'"{name}";q={self.policy.quota};w={WINDOW_SECONDS}',
            "RateLimit": f'"{name}";r={self.left};t={self.reset}',
        }


def rate_limit_exceeded(allowance: Allowance) -> Problem:
    """Say that it was one time too many, and when to come again."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate_limit_exceeded",
        f"You sent more than {allowance.policy.quota} of these requests in a minute, and this one changed "
        "nothing: wait as long as Retry-After says.",
        retry_after=max(allowance.reset, 1),
        headers=allowance.headers(),
    )


def login_throttled(seconds: float) -> Problem:
    """Say, in the same words for everybody, that no password is checked for some time."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "login_throttled",
        "Too many logins failed: wait as long as Retry-After says. Sessions that are open go on.",
        retry_after=max(math.ceil(seconds), 1),
    )


def login_delay(failures: int) -> int:
    """Give the seconds after so many failures in a row: from the fifth one doubling from 1 s to 15 min."""
    doublings = failures - FREE_FAILURES - 1
    if doublings < 0:
        return 0
    return min(1 << min(doublings, DOUBLINGS), LONGEST_DELAY)


# After one failure, after two, and so on; after more than there are here it is the last.
LOGIN_DELAYS = [login_delay(failures) for failures in range(1, FREE_FAILURES + DOUBLINGS + 2)]


def client_network(address: str | None) -> str:
    """Give what counts as one client: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed.packed, CLIENT_PREFIX), strict=False))
