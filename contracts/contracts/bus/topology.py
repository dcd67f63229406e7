"""Streams, consumers and rights of the bus: the table of DESIGN section 4, from which all else is made.

`server_permissions` writes the server's accounts, `contracts.bus.provision` creates streams and consumers.
"""

from collections.abc import Mapping

import msgspec
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StreamConfig

from contracts import subjects
from contracts.catalogue import EXCHANGES

MINUTE, HOUR, DAY = 60, 3600, 86400
KIB, MIB = 1024, 1024 * 1024
MAX_PAYLOAD = MIB + 64 * KIB
ACK_WAIT = 30
MAX_DELIVER = 50

SYNC_REQUESTS = StreamConfig(
    name="SYNC_REQUESTS",
    subjects=[subjects.SYNC_REQUESTED_ALL],
    retention=RetentionPolicy.WORK_QUEUE,
    discard=DiscardPolicy.NEW,
    max_age=HOUR,
    max_bytes=256 * MIB,
    max_msg_size=64 * KIB,
    duplicate_window=10 * MINUTE,
)
SYNC_OUTCOMES = StreamConfig(
    name="SYNC_OUTCOMES",
    subjects=[subjects.SYNC_COMPLETED_ALL, subjects.SYNC_FAILED_ALL],
    discard=DiscardPolicy.OLD,
    max_age=7 * DAY,
    max_bytes=1024 * MIB,
    max_msg_size=MIB + 16 * KIB,
    duplicate_window=10 * MINUTE,
)
ACCOUNT_EVENTS = StreamConfig(
    name="ACCOUNT_EVENTS",
    subjects=["butler.account.*.*"],
    max_age=7 * DAY,
    max_bytes=256 * MIB,
    duplicate_window=10 * MINUTE,
)
DEAD_LETTERS = StreamConfig(
    name="DEAD_LETTERS", subjects=[subjects.DEAD_LETTERS_ALL], max_age=30 * DAY, max_bytes=256 * MIB
)
ADVISORIES = StreamConfig(
    name="ADVISORIES",
    subjects=[subjects.MAX_DELIVERIES_ALL, subjects.TERMINATED_ALL],
    max_age=30 * DAY,
    max_bytes=64 * MIB,
)
STREAMS = (SYNC_REQUESTS, SYNC_OUTCOMES, ACCOUNT_EVENTS, DEAD_LETTERS, ADVISORIES)


class Consumer(msgspec.Struct, frozen=True):
    """A durable pull consumer: where it reads and what the server holds it to.

    A message of which nothing is heard for `ack_wait` seconds is delivered again.
    """

    stream: str
    name: str
    filter_subject: str | None = None
    max_deliver: int = -1
    max_ack_pending: int = 1024
    ack_wait: float = ACK_WAIT

    @property
    def path(self) -> str:
        """Name it as health and metrics do: STREAM/consumer."""
        return f"{self.stream}/{self.name}"

    def config(self) -> ConsumerConfig:
        """Give the server's configuration."""
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
    """Give the consumer of one exchange's sync requests."""
    return Consumer(
        "SYNC_REQUESTS", f"sync-worker-{exchange}", subjects.sync_requested(exchange), MAX_DELIVER, 4096
    )


OUTCOMES_CONSUMER = Consumer("SYNC_OUTCOMES", "gateway")
ADVISORIES_CONSUMER = Consumer("ADVISORIES", "gateway")
SYNC_WORKER_CONSUMERS = tuple(sync_worker_consumer(key) for key in EXCHANGES)
CONSUMERS = (OUTCOMES_CONSUMER, ADVISORIES_CONSUMER, *SYNC_WORKER_CONSUMERS)


class User(msgspec.Struct, frozen=True):
    """One identity on the bus and all that it may do; what is not said is refused.

    `replies_within` lets it answer each request once, in that many seconds.
    """

    name: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    replies_within: int | None = None
    unrestricted: bool = False


def _consuming(*consumers: Consumer) -> tuple[str, ...]:
    """Name what a user must be able to publish to in order to consume."""
    patterns = (
        "$JS.API.CONSUMER.INFO.{0}.{1}",
        "$JS.API.CONSUMER.MSG.NEXT.{0}.{1}",
        "$JS.ACK.{0}.{1}.>",
        "$JS.ACK.*.*.{0}.{1}.>",
    )
    return tuple(pattern.format(each.stream, each.name) for each in consumers for pattern in patterns)


def _watching(streams: tuple[StreamConfig, ...], *consumers: Consumer) -> tuple[str, ...]:
    """Name what a user must be able to publish to in order to ask how streams and consumers stand."""
    return (
        *(f"$JS.API.STREAM.INFO.{stream.name}" for stream in streams),
        *(f"$JS.API.CONSUMER.INFO.{each.stream}.{each.name}" for each in consumers),
    )


GATEWAY = User(
    "gateway",
    publish=(
        subjects.SYNC_REQUESTED_ALL,
        subjects.SYNC_FAILED_ALL,
        "butler.account.*.*",
        subjects.DEAD_LETTERS_ALL,
        subjects.RECORDED_ALL,
        subjects.KEYS,
        subjects.STORE,
        subjects.DESTROY,
        subjects.verify("*"),
        *_consuming(OUTCOMES_CONSUMER, ADVISORIES_CONSUMER),
        *_watching((SYNC_REQUESTS, SYNC_OUTCOMES, DEAD_LETTERS), *SYNC_WORKER_CONSUMERS),
    ),
    subscribe=(subjects.inbox_prefix("gateway") + ">", subjects.RECORDED_ALL),
)
SYNC_WORKER = User(
    "sync-worker",
    publish=(
        subjects.SYNC_COMPLETED_ALL,
        subjects.SYNC_FAILED_ALL,
        subjects.DEAD_LETTERS_ALL,
        subjects.AUTHORIZE,
        *_consuming(*SYNC_WORKER_CONSUMERS),
    ),
    subscribe=(subjects.inbox_prefix("worker") + ">", subjects.verify("*") + " sync-worker"),
    replies_within=35,
)
VAULT_BROKER = User(
    "vault-broker",
    subscribe=(
        *(
            f"{subject} vault-broker"
            for subject in (subjects.KEYS, subjects.STORE, subjects.DESTROY, subjects.AUTHORIZE)
        ),
        subjects.RECORDED_ALL,
    ),
    replies_within=35,
)
SUBSCRIBER = User("subscriber", subscribe=(subjects.ACCOUNT_EVENTS_ALL,))
ADMIN = User("admin", unrestricted=True)
USERS = (GATEWAY, SYNC_WORKER, VAULT_BROKER, SUBSCRIBER, ADMIN)


def server_permissions(public_keys: Mapping[str, str]) -> str:
    """Write the accounts of the NATS server's configuration.

    `public_keys` maps each user's name, and `system` for the system account, to its public nkey.
    Raises KeyError when a user has none.
    """
    users = "\n".join(_user_block(user, public_keys[user.name]) for user in USERS)
    return (
        f"accounts {{\n  BUTLER {{\n    jetstream: enabled\n    users = [\n{users}\n    ]\n  }}\n"
        f"  SYSTEM {{ users = [ {{ nkey: {public_keys['system']} }} ] }}\n}}\nsystem_account: SYSTEM\n"
    )


def _user_block(user: User, public_key: str) -> str:
    if user.unrestricted:
        return f"      {{ nkey: {public_key} }}"
    lines = [
        f"      {{ nkey: {public_key}, permissions {{",
        f"          publish {_rights(user.publish)}",
        f"          subscribe {_rights(user.subscribe)}",
    ]
    if user.replies_within is not None:
        lines.append(f'          allow_responses: {{ max: 1, expires: "{user.replies_within}s" }}')
    return "\n".join([*lines, "      } }"])


def _rights(allowed: tuple[str, ...]) -> str:
    if not allowed:
        return '{ deny: [ ">" ] }'
    return "{ allow: [ " + ", ".join(f'"{subject}"' for subject in allowed) + " ] }"
