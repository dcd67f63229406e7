"""Streams and consumers of the bus: the table from which `chassis.bus.provision` creates them.

`contracts.wire.bus_users` lists the rights of each user.
"""

import msgspec
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig

from contracts import streams, subjects
from contracts.exchanges import EXCHANGES, PRICED
from contracts.prices import ECB

MINUTE, HOUR, DAY = 60, 3600, 86400
KIB, MIB = 1024, 1024 * 1024
MAX_PAYLOAD = MIB + 64 * KIB
ACK_WAIT = 30
MAX_DELIVER = 50

SYNC_REQUESTS = StreamConfig(
    name=streams.SYNC_REQUESTS,
    subjects=[subjects.SYNC_REQUESTED_ALL, subjects.SYNC_SCHEDULED_ALL],
    retention=RetentionPolicy.WORK_QUEUE,
    discard=DiscardPolicy.NEW,
    max_age=HOUR,
    max_bytes=256 * MIB,
    max_msg_size=64 * KIB,
    duplicate_window=10 * MINUTE,
)
SYNC_OUTCOMES = StreamConfig(
    name=streams.SYNC_OUTCOMES,
    subjects=[subjects.SYNC_COMPLETED_ALL, subjects.SYNC_FAILED_ALL],
    discard=DiscardPolicy.OLD,
    max_age=7 * DAY,
    max_bytes=1024 * MIB,
    max_msg_size=MIB + 16 * KIB,
    duplicate_window=10 * MINUTE,
)
ACCOUNT_EVENTS = StreamConfig(
    name=streams.ACCOUNT_EVENTS,
    subjects=["butler.account.*.*"],
    max_age=7 * DAY,
    max_bytes=256 * MIB,
    duplicate_window=10 * MINUTE,
)
PORTFOLIO_EVENTS = StreamConfig(
    name=streams.PORTFOLIO_EVENTS,
    subjects=["butler.portfolio.changed.*"],
    max_age=7 * DAY,
    max_bytes=128 * MIB,
    max_msg_size=256 * KIB,
    duplicate_window=10 * MINUTE,
)
DEAD_LETTERS = StreamConfig(
    name=streams.DEAD_LETTERS, subjects=[subjects.DEAD_LETTERS_ALL], max_age=30 * DAY, max_bytes=256 * MIB
)
# A request that is late is worth nothing, and each reading replaces the one before.
PRICE_REQUESTS = StreamConfig(
    name=streams.PRICE_REQUESTS,
    subjects=[subjects.PRICES_REQUESTED_ALL],
    retention=RetentionPolicy.WORK_QUEUE,
    discard=DiscardPolicy.OLD,
    max_age=MINUTE,
    max_bytes=MIB,
    max_msg_size=4 * KIB,
    max_msgs_per_subject=1,
    duplicate_window=MINUTE,
)
PRICES = StreamConfig(
    name=streams.PRICES,
    subjects=[subjects.PRICES_READ_ALL],
    discard=DiscardPolicy.OLD,
    max_age=DAY,
    max_bytes=32 * MIB,
    max_msg_size=MIB + 16 * KIB,
    max_msgs_per_subject=1,
    duplicate_window=MINUTE,
)
ADVISORIES = StreamConfig(
    name=streams.ADVISORIES,
    subjects=[subjects.MAX_DELIVERIES_ALL, subjects.TERMINATED_ALL],
    max_age=30 * DAY,
    max_bytes=64 * MIB,
)
# The leases of workers, which live for seconds: a lost or emptied bucket is written again.
BUDGETS = StreamConfig(
    name=streams.BUDGETS,
    subjects=["$KV.BUDGETS.>"],
    discard=DiscardPolicy.NEW,
    max_age=DAY,
    max_bytes=8 * MIB,
    max_msg_size=64 * KIB,
    max_msgs_per_subject=1,
    allow_direct=True,
    allow_rollup_hdrs=False,
    duplicate_window=MINUTE,
)
STREAMS = (
    SYNC_REQUESTS,
    SYNC_OUTCOMES,
    ACCOUNT_EVENTS,
    DEAD_LETTERS,
    ADVISORIES,
    PRICE_REQUESTS,
    PRICES,
    PORTFOLIO_EVENTS,
    BUDGETS,
)


class Consumer(msgspec.Struct, frozen=True):
    """A durable pull consumer: its stream and filter, and the limits that the server enforces.

    The server delivers a message again after `ack_wait` seconds without a sign of progress.
    """

    stream: str
    name: str
    filter_subject: str | None = None
    max_deliver: int = -1
    max_ack_pending: int = 1024
    ack_wait: float = ACK_WAIT

    @property
    def path(self) -> str:
        """Return its name in health checks and metrics: STREAM/consumer."""
        return f"{self.stream}/{self.name}"

    def config(self) -> ConsumerConfig:
        """Return the configuration for the server."""
        return ConsumerConfig(
            durable_name=self.name,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.ack_wait,
            max_deliver=self.max_deliver,
            max_ack_pending=self.max_ack_pending,
            max_waiting=16,
            filter_subject=self.filter_subject,
        )


def sync_worker_consumer(exchange: str) -> Consumer:
    """Return the consumer of one exchange's sync requests."""
    return Consumer(
        streams.SYNC_REQUESTS, f"sync-worker-{exchange}", subjects.sync_requested(exchange), MAX_DELIVER, 4096
    )


def scheduled_consumer(exchange: str) -> Consumer:
    """Return the consumer of one exchange's requests by the schedule, for which a worker has fewer slots."""
    name, subject = f"sync-worker-scheduled-{exchange}", subjects.sync_scheduled(exchange)
    return Consumer(streams.SYNC_REQUESTS, name, subject, MAX_DELIVER, 1024)


def price_worker_consumer(exchange: str) -> Consumer:
    """Return the consumer of the requests to read one exchange's public prices."""
    return Consumer(streams.PRICE_REQUESTS, f"prices-{exchange}", subjects.prices_requested(exchange), 5, 16)


OUTCOMES_CONSUMER = Consumer(streams.SYNC_OUTCOMES, "gateway")
ADVISORIES_CONSUMER = Consumer(streams.ADVISORIES, "gateway")
SYNC_WORKER_CONSUMERS = tuple(sync_worker_consumer(key) for key in EXCHANGES)
SCHEDULED_CONSUMERS = tuple(scheduled_consumer(key) for key in EXCHANGES)
# The consumers on which syncs depend.
SYNCING_CONSUMERS = (OUTCOMES_CONSUMER, ADVISORIES_CONSUMER, *SYNC_WORKER_CONSUMERS, *SCHEDULED_CONSUMERS)
PRICES_CONSUMER = Consumer(streams.PRICES, "gateway-prices", max_ack_pending=16)
PRICE_WORKER_CONSUMERS = tuple(price_worker_consumer(key) for key in (*PRICED, ECB))
CONSUMERS = (*SYNCING_CONSUMERS, PRICES_CONSUMER, *PRICE_WORKER_CONSUMERS)
