"""Rate limits: policies, allowances and login delays. Pure."""

import math
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec

MINUTE = 60
DAY = 24 * 60 * 60
WINDOWS = {MINUTE: "a minute", DAY: "a day"}
# The accounts that a user may have; sub-accounts count.
MAX_ACCOUNTS = 100
# The key offers of a user that may be open at once.
MAX_OFFERS = 10
CLIENT_PREFIX = 64  # an IPv6 client can use any address of at least this network

FREE_FAILURES = 4
LONGEST_DELAY = 15 * 60
DOUBLINGS = LONGEST_DELAY.bit_length()


class Policy(msgspec.Struct, frozen=True):
    """A quota of uses per window of seconds; the window begins with the first use.

    A `shared` policy counts all clients of one address together.
    """

    name: str
    quota: int
    window: int = MINUTE
    shared: bool = False


Charge = tuple[Policy, str]


class Limits(msgspec.Struct, frozen=True):
    """The limits of one user, or of one client address for requests without an access token.

    `write` is for requests that change data and have no other policy. `login` counts failed logins of a
    client address, `signed_in` successful ones, `submissions` the keys that a user submits, `export` the
    exports of a user. Changes by signed-in users also count for their client address: in `address`, and in
    `address_submissions` for keys of new accounts. Logins, refreshes, repairs and requests without an access
    token neither count there nor are refused by it.
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
    export: Policy
    address: Policy
    address_submissions: Policy

    def by_address(self, address: str | None) -> list[Charge]:
        """Return the charges of a signed-in user's change for the client's address."""
        return [(self.address, client_network(address))]


class Allowance(msgspec.Struct, frozen=True):
    """The rest of a policy's quota; `used` exceeds the quota if the last use is refused."""

    policy: Policy
    used: int
    seconds: float

    @property
    def exceeded(self) -> bool:
        """Return whether the last use exceeded the quota."""
        return self.used > self.policy.quota

    @property
    def left(self) -> int:
        """Return how many uses are left in this window."""
        return max(self.policy.quota - self.used, 0)

    @property
    def reset(self) -> int:
        """Return the seconds until a new window may begin, rounded up."""
        return max(math.ceil(self.seconds), 0)


def login_delay(failures: int) -> int:
    """Return the seconds to wait after consecutive failures: doubling from 1 s at the fifth, up to 15 min."""
    doublings = failures - FREE_FAILURES - 1
    if doublings < 0:
        return 0
    return min(1 << min(doublings, DOUBLINGS), LONGEST_DELAY)


# The delays after one failure, two and so on; the last one is also for more failures.
LOGIN_DELAYS = [login_delay(failures) for failures in range(1, FREE_FAILURES + DOUBLINGS + 2)]


def client_network(address: str | None) -> str:
    """Return the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return address or ""
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed.packed, CLIENT_PREFIX), strict=False))
