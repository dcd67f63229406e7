"""What the routes may use; `app.py` makes one and hands it to every handler."""

from dataclasses import dataclass

from chassis.health import Ready
from gateway.accounts.connect import Connecting
from gateway.accounts.delete import Deleting
from gateway.identity.passwords import Passwords
from gateway.identity.proof import Proving
from gateway.identity.refresh import Refreshing
from gateway.identity.tokens import AccessTokens
from gateway.limits import Limits
from gateway.places import Places
from gateway.store.pool import Pool
from gateway.syncs.open import Requests
from gateway.syncs.waiters import Waiters


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
