"""The metrics of all services, a closed list with the same names everywhere."""

from contextlib import suppress
from datetime import datetime
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_counter = partial(Counter, registry=REGISTRY)
_gauge = partial(Gauge, registry=REGISTRY)
_histogram = partial(Histogram, registry=REGISTRY, buckets=_SECONDS)

DELIVERIES = _counter(
    "butler_deliveries", "Messages taken from a stream, by how they ended", ["consumer", "outcome"]
)
DEAD_LETTER_BRAKE = _gauge(
    "butler_dead_letter_brake",
    "1 while most messages of a consumer are unreadable and burying them is slowed down",
    ["consumer"],
)
REPLIES = _counter("butler_replies", "Requests answered, by subject and kind", ["subject", "reply"])
BUS_ERRORS = _counter("butler_bus_errors", "Errors that the bus connection reported", ["error"])
SYNCS = _counter("butler_syncs", "Syncs that ended, by status", ["exchange", "status"])
OUTCOMES = _counter(
    "butler_outcomes", "Outcomes taken from the stream, by their grant: valid, absent or forged", ["grant"]
)
SYNC_FAULTS = _counter(
    "butler_sync_faults",
    "Syncs that ended with a fault, by its code and the party that must act",
    ["exchange", "code", "actor"],
)
SYNC_SECONDS = _histogram("butler_sync_seconds", "Seconds from request to outcome", ["exchange"])
EXCHANGE_CALLS = _histogram(
    "butler_exchange_call_seconds",
    "Seconds of calls to an exchange, by read and outcome",
    ["exchange", "read", "outcome"],
)
BUDGET_SIZES = _gauge(
    "butler_budget_size",
    "Weight that an exchange allows our address in a budget's window, as the worker knows; -1: no limit",
    ["exchange", "budget"],
)
BUDGET_SHARES = _gauge(
    "butler_budget_share",
    "The part of a budget that this worker may use; -1: no limit",
    ["exchange", "budget"],
)
BUDGET_USED = _gauge(
    "butler_budget_used", "Weight of this worker's calls that still count in a budget", ["exchange", "budget"]
)
BUDGET_PAUSED = _gauge(
    "butler_budget_paused_seconds", "Seconds for which a budget allows no call", ["exchange", "budget"]
)
BUDGET_WAITS = _histogram(
    "butler_budget_wait_seconds",
    "Seconds for which calls waited for their budgets, by the order of their work; calls without a wait are "
    "not in it",
    ["exchange", "order"],
)
BUDGET_HELD_BACK = _counter(
    "butler_budget_held_back",
    "Tries and calls that we did not send for lack of budget",
    ["exchange", "order"],
)
BUDGET_REFUSALS = _counter(
    "butler_budget_refusals",
    "Calls that an exchange refused by a limit of our address",
    ["exchange", "budget"],
)
BUDGET_LEASED = _gauge(
    "butler_budget_leased", "1 while this worker has a lease of an exchange's budgets", ["exchange"]
)
EXCHANGE_CLOSED = _gauge(
    "butler_exchange_closed",
    "1 while a region of an exchange is closed to us, for a reason; absent while it is open",
    ["exchange", "region", "reason"],
)
EXCHANGE_CLOSED_SECONDS = _gauge(
    "butler_exchange_closed_seconds",
    "Seconds until the worker looks whether a closed region is open again; 0: open, or a look is due",
    ["exchange", "region"],
)
EXCHANGE_PROBES = _counter(
    "butler_exchange_probes",
    "Tries that looked whether a closed region is open again, by what they found",
    ["exchange", "region", "result"],
)
SPANS = _counter(
    "butler_spans", "Spans of traces: ended, and of those sent to the collector or failed", ["result"]
)
SIGNATURES = _counter("butler_signatures", "Reads signed or refused", ["exchange", "outcome"])
SIGNING_MEMORY_FULL = _counter(
    "butler_signing_memory_full",
    "Requests to sign that were refused because the broker can not remember more requests or ends of syncs",
    ["memory"],
)
UNSIGNED = _counter(
    "butler_unsigned_requests",
    "Requests to store or destroy a credential that carry no signature of the gateway",
    ["action"],
)
KEYS_REFUSED = _counter(
    "butler_keys_refused", "Answers to a gateway with a key that is not pinned: wrapping or sealing", ["key"]
)
HTTP_REQUESTS = _histogram(
    "butler_http_request_seconds",
    "Seconds of API requests, by route and status",
    ["method", "route", "status"],
)
READY = _gauge("butler_ready", "1 when the part passes its check", ["part"])
PUBLISH_FAILURES = _counter(
    "butler_publish_failures", "Tries to publish that a stream did not confirm", ["stream"]
)
# An unreadable number below is NaN.
CONSUMER_PENDING = _gauge(
    "butler_consumer_pending", "Messages that a consumer was not handed yet", ["consumer"]
)
CONSUMER_UNACKNOWLEDGED = _gauge(
    "butler_consumer_unacknowledged",
    "Messages that a consumer was handed and that are not settled",
    ["consumer"],
)
CONSUMER_STANDING = _gauge(
    "butler_consumer_standing_seconds",
    "Seconds for which messages wait and the ack floor of a consumer has not moved",
    ["consumer"],
)
CONSUMER_LIMIT = _gauge(
    "butler_consumer_unacknowledged_limit",
    "Unsettled messages from which on the server hands out no more",
    ["consumer"],
)
DEAD_LETTERS = _gauge("butler_dead_letters", "Messages in the stream DEAD_LETTERS")
OUTBOX_OLDEST = _gauge("butler_outbox_oldest_seconds", "Age of the oldest row of the outbox", ["stream"])
PRICES_AGE = _gauge("butler_prices_age_seconds", "Age of the newest reading of public prices", ["exchange"])
QUEUED_OLDEST = _gauge("butler_sync_queued_oldest_seconds", "Age of the oldest sync without an outcome")
DAYS_OVERDUE = _gauge(
    "butler_days_overdue_seconds", "For how long the day that ended the longest ago has not been closed"
)
SCHEDULE_OVERDUE = _gauge(
    "butler_schedule_overdue_seconds", "How long the account that is due the longest has waited for its sync"
)
DATABASE_CONNECTIONS = _gauge(
    "butler_database_connections",
    "Connections of a gateway's pool: used (or being opened) or idle",
    ["state"],
)
DATABASE_WAITING = _gauge("butler_database_waiting", "Transactions that wait for a connection of the pool")
TRANSACTION_OLDEST = _gauge(
    "butler_transaction_oldest_seconds",
    "Seconds for which the oldest open transaction that writes has held back the others' horizon",
)
VAULT_SEALED = _gauge("butler_vault_sealed", "1 while the vault says that it is sealed")
TOKEN_LEFT = _gauge("butler_token_left_seconds", "Seconds until a token of this service expires", ["token"])
CERTIFICATE_LEFT = _gauge(
    "butler_certificate_left_seconds",
    "Seconds until the certificate in the file of a setting expires",
    ["setting"],
)
CLOCK_OFFSET = _gauge(
    "butler_clock_offset_seconds",
    "Seconds by which another server's clock is ahead of this machine's",
    ["clock"],
)
KEY_CREATED = _gauge(
    "butler_key_created_seconds",
    "Unix time when a key in use was made; absent for a key of which the service does not know it",
    ["key"],
)
KEYS_LIVE = _gauge(
    "butler_keys_live", "Keys of a kind that are accepted, more than one in a rotation", ["key"]
)


def note_key(key: str, made: datetime | None, live: int = 1) -> None:
    """Show when a key was made, if that is known, and how many of its kind are accepted."""
    KEYS_LIVE.labels(key).set(live)
    with suppress(KeyError):
        KEY_CREATED.remove(key)
    if made is not None:
        KEY_CREATED.labels(key).set(made.timestamp())


def exposition() -> bytes:
    """Write all metrics in the Prometheus text format."""
    return generate_latest(REGISTRY)
