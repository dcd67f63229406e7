"""The metrics of all services, a closed list with the same names everywhere."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

DELIVERIES = Counter(
    "butler_deliveries",
    "Messages taken from a stream, by how they ended",
    ["consumer", "outcome"],
    registry=REGISTRY,
)
DEAD_LETTER_BRAKE = Gauge(
    "butler_dead_letter_brake",
    "1 while most messages of a consumer are unreadable and burying them is slowed down",
    ["consumer"],
    registry=REGISTRY,
)
REPLIES = Counter(
    "butler_replies", "Requests answered, by subject and kind", ["subject", "reply"], registry=REGISTRY
)
BUS_ERRORS = Counter(
    "butler_bus_errors", "Errors that the bus connection reported", ["error"], registry=REGISTRY
)
SYNCS = Counter("butler_syncs", "Syncs that ended, by status", ["exchange", "status"], registry=REGISTRY)
OUTCOMES = Counter(
    "butler_outcomes",
    "Outcomes taken from the stream, by their grant: valid, absent or forged",
    ["grant"],
    registry=REGISTRY,
)
SYNC_SECONDS = Histogram(
    "butler_sync_seconds",
    "Seconds from request to outcome",
    ["exchange"],
    registry=REGISTRY,
    buckets=_SECONDS,
)
EXCHANGE_CALLS = Histogram(
    "butler_exchange_call_seconds",
    "Seconds of calls to an exchange, by read and outcome",
    ["exchange", "read", "outcome"],
    registry=REGISTRY,
    buckets=_SECONDS,
)
SIGNATURES = Counter(
    "butler_signatures", "Reads signed or refused", ["exchange", "outcome"], registry=REGISTRY
)
SIGNING_MEMORY_FULL = Counter(
    "butler_signing_memory_full",
    "Requests to sign that were refused because the broker can not remember more requests or ends of syncs",
    ["memory"],
    registry=REGISTRY,
)
UNSIGNED = Counter(
    "butler_unsigned_requests",
    "Requests to store or destroy a credential that carry no signature of the gateway",
    ["action"],
    registry=REGISTRY,
)
KEYS_REFUSED = Counter(
    "butler_keys_refused",
    "Answers to a gateway with a key that is not pinned: wrapping or sealing",
    ["key"],
    registry=REGISTRY,
)
HTTP_REQUESTS = Histogram(
    "butler_http_request_seconds",
    "Seconds of API requests, by route and status",
    ["method", "route", "status"],
    registry=REGISTRY,
    buckets=_SECONDS,
)
READY = Gauge("butler_ready", "1 when the part passes its check", ["part"], registry=REGISTRY)
PUBLISH_FAILURES = Counter(
    "butler_publish_failures", "Tries to publish that a stream did not confirm", ["stream"], registry=REGISTRY
)
# An unreadable number below is NaN.
CONSUMER_PENDING = Gauge(
    "butler_consumer_pending", "Messages that a consumer was not handed yet", ["consumer"], registry=REGISTRY
)
CONSUMER_UNACKNOWLEDGED = Gauge(
    "butler_consumer_unacknowledged",
    "Messages that a consumer was handed and that are not settled",
    ["consumer"],
    registry=REGISTRY,
)
CONSUMER_STANDING = Gauge(
    "butler_consumer_standing_seconds",
    "Seconds for which messages wait and the ack floor of a consumer has not moved",
    ["consumer"],
    registry=REGISTRY,
)
DEAD_LETTERS = Gauge("butler_dead_letters", "Messages in the stream DEAD_LETTERS", registry=REGISTRY)
OUTBOX_OLDEST = Gauge(
    "butler_outbox_oldest_seconds", "Age of the oldest row of the outbox", ["stream"], registry=REGISTRY
)
QUEUED_OLDEST = Gauge(
    "butler_sync_queued_oldest_seconds", "Age of the oldest sync without an outcome", registry=REGISTRY
)
CLOCK_OFFSET = Gauge(
    "butler_clock_offset_seconds",
    "Seconds by which another server's clock is ahead of this machine's",
    ["clock"],
    registry=REGISTRY,
)


def exposition() -> bytes:
    """Write all metrics in the Prometheus text format."""
    return generate_latest(REGISTRY)
