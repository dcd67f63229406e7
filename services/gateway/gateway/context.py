"""What the routes may use; `app.py` makes one and hands it to every handler."""

from dataclasses import dataclass

from chassis.health import Ready
from gateway.connecting import Connecting
from gateway.deleting import Deleting
from gateway.limits import Limits
from gateway.passwords import Passwords
from gateway.places import Places
from gateway.proving import Proving
from gateway.refreshing import Refreshing
from gateway.requesting import Requests
from gateway.store.pool import Pool
from gateway.tokens import AccessTokens
from gateway.waiters import Waiters


@dataclass(frozen=True)
class Gateway:
    """The parts of a running gateway; `egress` are the addresses that calls to exchanges come from."""

    pool: Pool
    passwords: Passwords
    proving: Proving
    tokens: AccessTokens
    refreshing: Refreshing
    connecting: Connecting
    deleting: Deleting
    requests: Requests
    waiters: Waiters
    waits: Places
    limits: Limits
    ready: Ready
    egress: tuple[str, ...]
