"""The series of the gateway's counters from its start on.

Prometheus does not see the first step of a counter whose series begins with it, so an alert on the first
event needs a 0 before.
"""

import math
from itertools import product

from chassis import metrics
from contracts.exchanges import EXCHANGES
from contracts.faults import FAULTS
from contracts.streams import (
    ACCOUNT_EVENTS,
    DEAD_LETTERS,
    PORTFOLIO_EVENTS,
    PRICE_REQUESTS,
    SYNC_OUTCOMES,
    SYNC_REQUESTS,
)
from contracts.syncs import Status


def begin() -> None:
    """Let each counter that an alert watches begin at 0, and numbers that are not read yet be none."""
    metrics.DEAD_LETTERS.set(math.nan)
    metrics.QUEUED_OLDEST.set(math.nan)
    metrics.SCHEDULE_OVERDUE.set(math.nan)
    metrics.DAYS_OVERDUE.set(math.nan)
    for exchange in EXCHANGES:
        metrics.SYNC_SECONDS.labels(exchange)
    for exchange, status in product(EXCHANGES, (Status.COMPLETED, Status.PARTIAL, Status.FAILED)):
        metrics.SYNCS.labels(exchange, status)
    for exchange, (code, fault) in product(EXCHANGES, FAULTS.items()):
        metrics.SYNC_FAULTS.labels(exchange, code, fault.actor)
    for grant in ("valid", "absent", "forged"):
        metrics.OUTCOMES.labels(grant)
    for key in ("wrapping", "sealing"):
        metrics.KEYS_REFUSED.labels(key)
    streams = (SYNC_REQUESTS, SYNC_OUTCOMES, ACCOUNT_EVENTS, DEAD_LETTERS, PRICE_REQUESTS, PORTFOLIO_EVENTS)
    for stream in streams:
        metrics.PUBLISH_FAILURES.labels(stream)
