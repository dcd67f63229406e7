"""Closures that workers share: the regions of exchanges that are closed to their egress address."""

from typing import Annotated

import msgspec
from msgspec import Meta

from contracts.budgets import ServerTime, WorkerId

# No worker believes that an exchange is closed for longer without a look.
MAX_SECONDS = 3600.0
# The reasons: the exchange itself says that it is in maintenance, or it refused several accounts in a row.
MAINTENANCE, UNAVAILABLE = "maintenance", "unavailable"
RegionKey = Annotated[str, Meta(pattern=r"\A[a-z0-9_-]{1,32}\Z")]
Reason = Annotated[str, Meta(pattern=r"\A[a-z_]{1,32}\Z")]
Probes = Annotated[int, Meta(ge=0, le=1000)]


class Closure(msgspec.Struct, frozen=True):
    """One region of an exchange is closed: no call until `until`, and then one try as a probe.

    `since` is the time at which it closed, and `probes` counts the failed probes since that time. While a
    worker is `probing`, another worker may claim the probe after `until`.
    """

    reason: Reason
    since: ServerTime
    until: ServerTime
    probes: Probes = 0
    probing: bool = False


class Closures(msgspec.Struct, frozen=True):
    """The closed regions of one exchange, as one egress address meets them."""

    regions: Annotated[dict[RegionKey, Closure], Meta(max_length=64)] = {}


class RegionTold(msgspec.Struct, frozen=True):
    """A worker found a region closed for `seconds` from now, or open again if it names no reason.

    `sequence` is the number that the bucket gave the value, 0 without a bucket. `since` is the time at which
    the region closed.
    """

    worker: WorkerId
    region: RegionKey
    sequence: Annotated[int, Meta(ge=0)] = 0
    reason: Reason | None = None
    seconds: Annotated[float, Meta(ge=0, le=MAX_SECONDS)] = 0.0
    since: ServerTime = 0.0
    probes: Probes = 0
    probing: bool = False
