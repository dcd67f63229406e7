"""The users of the bus and their rights: the table from which the server's accounts are generated."""

import msgspec
from nats.js.api import StreamConfig

from contracts import subjects
from contracts.wire.topology import (
    ADVISORIES_CONSUMER,
    BUDGETS,
    DEAD_LETTERS,
    MAX_PAYLOAD,
    OUTCOMES_CONSUMER,
    PRICE_WORKER_CONSUMERS,
    PRICES_CONSUMER,
    SCHEDULED_CONSUMERS,
    STREAMS,
    SYNC_WORKER_CONSUMERS,
    Consumer,
)

STREAMS_ACCOUNT = "BUTLER"
ANSWER_SECONDS = 35


class Limits(msgspec.Struct, frozen=True):
    """The limits of all connections of an account together; `payload` is the size of a message in bytes."""

    connections: int = 256
    subscriptions: int = 16384
    payload: int = MAX_PAYLOAD


class User(msgspec.Struct, frozen=True):
    """One identity on the bus and its rights; the server denies anything not listed.

    A row of `subscribe` with a queue group means that this user answers requests on that subject.
    `replies_within` allows one reply to each request, within that many seconds.
    """

    name: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    replies_within: int | None = None
    unrestricted: bool = False
    limits: Limits = Limits()

    @property
    def account(self) -> str:
        """Return the name of its account on the server: its own, or the streams' for the administrator."""
        return STREAMS_ACCOUNT if self.unrestricted else self.name.upper().replace("-", "_")

    @property
    def answers(self) -> tuple[str, ...]:
        """Return the subjects on which the user answers requests."""
        return tuple(row.partition(" ")[0] for row in self.subscribe if " " in row)

    @property
    def hears(self) -> tuple[str, ...]:
        """Return the subjects that the user receives from other accounts, without its inbox."""
        return tuple(row for row in self.subscribe if " " not in row and not row.startswith("_INBOX"))


def overlap(one: str, other: str) -> bool:
    """Return whether a subject exists that matches both patterns."""
    tokens, others = one.split("."), other.split(".")
    for mine, theirs in zip(tokens, others, strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return len(tokens) == len(others)


def consuming(*consumers: Consumer) -> tuple[str, ...]:
    """Return the subjects to which a user must be able to publish in order to consume."""
    patterns = (
        "$JS.API.CONSUMER.INFO.{0}.{1}",
        "$JS.API.CONSUMER.MSG.NEXT.{0}.{1}",
        "$JS.ACK.{0}.{1}.>",
        "$JS.ACK.*.*.{0}.{1}.>",
    )
    return tuple(pattern.format(each.stream, each.name) for each in consumers for pattern in patterns)


def _watching(streams: tuple[StreamConfig, ...], *consumers: Consumer) -> tuple[str, ...]:
    """Return the subjects for publishing that let a user ask for the state of streams and consumers."""
    return (
        *(f"$JS.API.STREAM.INFO.{stream.name}" for stream in streams),
        *(f"$JS.API.CONSUMER.INFO.{each.stream}.{each.name}" for each in consumers),
    )


# Operators read dead letters through the gateway, which deletes single ones and publishes outcomes again.
OPERATING = (
    f"$JS.API.STREAM.MSG.GET.{DEAD_LETTERS.name}",
    f"$JS.API.STREAM.MSG.DELETE.{DEAD_LETTERS.name}",
    subjects.SYNC_COMPLETED_ALL,
)
GATEWAY = User(
    "gateway",
    publish=(
        subjects.SYNC_REQUESTED_ALL,
        subjects.SYNC_SCHEDULED_ALL,
        subjects.SYNC_FAILED_ALL,
        "butler.account.*.*",
        "butler.portfolio.changed.*",
        subjects.DEAD_LETTERS_ALL,
        subjects.RECORDED_ALL,
        subjects.KEYS,
        subjects.STORE,
        subjects.DESTROY,
        subjects.OFFER,
        subjects.verify("*"),
        subjects.PRICES_REQUESTED_ALL,
        *consuming(OUTCOMES_CONSUMER, ADVISORIES_CONSUMER, PRICES_CONSUMER),
        *_watching(STREAMS, *SYNC_WORKER_CONSUMERS, *SCHEDULED_CONSUMERS),
        *OPERATING,
    ),
    subscribe=(subjects.inbox_prefix("gateway") + ">", subjects.RECORDED_ALL, subjects.SYNC_WAITING_ALL),
)
# A worker gets and puts the leases of workers and the closed exchanges, which it compares and sets by
# sequence. It cannot read or change another bucket, nor delete from this one.
LEASING = tuple(
    text
    for each in (subjects.BUDGETS_ALL, subjects.CLOSURES_ALL)
    for text in (f"$JS.API.DIRECT.GET.{BUDGETS.name}.{each}", each)
)
SYNC_WORKER = User(
    "sync-worker",
    publish=(
        subjects.SYNC_COMPLETED_ALL,
        subjects.SYNC_FAILED_ALL,
        subjects.SYNC_WAITING_ALL,
        subjects.DEAD_LETTERS_ALL,
        subjects.AUTHORIZE,
        subjects.PRICES_READ_ALL,
        subjects.BUDGET_REFUSED_ALL,
        subjects.REGION_TOLD_ALL,
        *LEASING,
        *consuming(*SYNC_WORKER_CONSUMERS, *SCHEDULED_CONSUMERS, *PRICE_WORKER_CONSUMERS),
    ),
    subscribe=(
        subjects.inbox_prefix("worker") + ">",
        subjects.verify("*") + " sync-worker",
        subjects.BUDGET_REFUSED_ALL,
        subjects.REGION_TOLD_ALL,
    ),
    replies_within=ANSWER_SECONDS,
)
# The broker uses no stream. It asks whether JetStream answers, and leaves a server that lost the others.
BROKER_ASKS = SYNC_WORKER_CONSUMERS[0]
_OF_GATEWAYS = (subjects.KEYS, subjects.STORE, subjects.DESTROY, subjects.OFFER)
VAULT_BROKER = User(
    "vault-broker",
    publish=_watching((), BROKER_ASKS),
    subscribe=(
        subjects.inbox_prefix("broker") + ">",
        *(f"{subject} vault-broker" for subject in (*_OF_GATEWAYS, subjects.AUTHORIZE)),
        subjects.RECORDED_ALL,
    ),
    replies_within=ANSWER_SECONDS,
)
ADMIN = User("admin", unrestricted=True)
USERS = (GATEWAY, SYNC_WORKER, VAULT_BROKER, ADMIN)
