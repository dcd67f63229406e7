"""Leases and refusals that workers share: the calls that an exchange allows their egress address."""

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_WORKERS = 256
BudgetKey = Annotated[str, Meta(pattern=r"\A[a-z0-9_]{1,64}\Z")]
WorkerId = Annotated[str, Meta(pattern=r"\A[a-z0-9-]{1,36}\Z")]
Weight = Annotated[int, Meta(ge=0, le=1_000_000_000)]
# Seconds since the epoch by the clock of the NATS server, which all workers read.
ServerTime = Annotated[float, Meta(ge=0)]


class Lease(msgspec.Struct, frozen=True):
    """The part of each budget that one worker may use until `ends`, and the weight that its work wants.

    Its `places` stay taken until the window of their budget after `ends`, because calls in it count.
    """

    ends: ServerTime
    places: dict[BudgetKey, Weight] = {}
    wants: dict[BudgetKey, Weight] = {}


class Shrunk(msgspec.Struct, frozen=True):
    """A budget after a refusal at the time `at`: no call until `until`, and then `most` and slowly more.

    `strikes` counts the refusals that came before the budget had its size back.
    """

    most: Weight
    at: ServerTime
    until: ServerTime
    strikes: Annotated[int, Meta(ge=1, le=16)] = 1


class Leases(msgspec.Struct, frozen=True):
    """The leases of one egress address at one exchange by worker, and its shrunk budgets by key.

    Until `settled` no worker takes more than it has, because leases of others may be missing.
    """

    workers: Annotated[dict[WorkerId, Lease], Meta(max_length=MAX_WORKERS)] = {}
    shrunk: Annotated[dict[BudgetKey, Shrunk], Meta(max_length=64)] = {}
    settled: ServerTime = 0.0


class BudgetRefused(msgspec.Struct, frozen=True):
    """An exchange refused a call of an egress address: no call of this budget for `seconds` from now."""

    budget: BudgetKey
    seconds: Annotated[float, Meta(ge=0, le=86400)]
