"""Limits by number and time: what they allow. Pure."""

import math
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec

MINUTE = 60
DAY = 24 * 60 * 60
WINDOWS = {MINUTE: "a minute", DAY: "a day"}
CLIENT_PREFIX = 64  # one client of IPv6 has at least this network to choose addresses from

FREE_FAILURES = 4
LONGEST_DELAY = 15 * 60
DOUBLINGS = LONGEST_DELAY.bit_length()


class Policy(msgspec.Struct, frozen=True):
    """So many times in a window of so many seconds, which begins with the first time.

    A `shared` one counts all who come from one client address together.
    """

    name: str
    quota: int
    window: int = MINUTE
    shared: bool = False


Charge = tuple[Policy, str]


class Limits(msgspec.Struct, frozen=True):
    """What a gateway allows one user, or one client address where a request comes with no access token.

    `write` is for every request that changes something and names no policy of its own; `login` counts failed
    logins of a client address and `signed_in` those that succeed, `submissions` the keys that a user submits.
    What signed-in users change from one client address counts for that address, too: `address`, and
    `address_submissions` for keys of accounts that they connect. Logins, refreshes, repairs of an account and
    requests without an access token neither count there nor are refused for it.
    """

    sync: Policy
    sync_all: Policy
    login: Policy
    register: tuple[Policy, ...]
    write: Policy
    refresh: Policy
    password: Policy
    signed_in: Policy
    submissions: tuple[Policy, ...]
    address: Policy
    address_submissions: Policy

    def by_address(self, address: str | None) -> list[Charge]:
        """Give what a user who changes something is charged for the address that the request came from."""
        return [(self.address, client_network(address))]


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
