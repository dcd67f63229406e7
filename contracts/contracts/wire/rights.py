"""Users of the bus and all that each may do: the table from which the server's accounts are written."""

import msgspec
from nats.js.api import StreamConfig

from contracts import subjects
from contracts.wire.topology import (
    ADVISORIES_CONSUMER,
    DEAD_LETTERS,
    MAX_PAYLOAD,
    OUTCOMES_CONSUMER,
    SYNC_OUTCOMES,
    SYNC_REQUESTS,
    SYNC_WORKER_CONSUMERS,
    Consumer,
)

STREAMS_ACCOUNT = "BUTLER"
ANSWER_SECONDS = 35


class Limits(msgspec.Struct, frozen=True):
    """What the connections of an account may use up together; `payload` are the bytes of one message."""

    connections: int = 256
    subscriptions: int = 16384
    payload: int = MAX_PAYLOAD


class User(msgspec.Struct, frozen=True):
    """One identity on the bus and all that it may do; the server denies anything not listed.

    A row of `subscribe` with a queue group means that this user answers requests on that subject.
    `replies_within` lets it answer each request once, in that many seconds.
    """

    name: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    replies_within: int | None = None
    unrestricted: bool = False
    limits: Limits = Limits()

    @property
    def account(self) -> str:
        """Name its account on the server: one of its own, or the streams' for the administrator."""
        return STREAMS_ACCOUNT if self.unrestricted else self.name.upper().replace("-", "_")

    @property
    def answers(self) -> tuple[str, ...]:
        """Give the subjects on which it answers requests."""
        return tuple(row.partition(" ")[0] for row in self.subscribe if " " in row)

    @property
    def hears(self) -> tuple[str, ...]:
        """Give the subjects that it hears from the streams' account, its inbox left out."""
        return tuple(row for row in self.subscribe if " " not in row and not row.startswith("_INBOX"))


def overlap(one: str, other: str) -> bool:
    """Tell whether there is a subject that two patterns both take in."""
    tokens, others = one.split("."), other.split(".")
    for mine, theirs in zip(tokens, others, strict=False):
        if ">" in (mine, theirs):
            return True
        if mine != theirs and "*" not in (mine, theirs):
            return False
    return len(tokens) == len(others)


def consuming(*consumers: Consumer) -> tuple[str, ...]:
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
        *consuming(OUTCOMES_CONSUMER, ADVISORIES_CONSUMER),
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
        *consuming(*SYNC_WORKER_CONSUMERS),
    ),
    subscribe=(subjects.inbox_prefix("worker") + ">", subjects.verify("*") + " sync-worker"),
    replies_within=ANSWER_SECONDS,
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
    replies_within=ANSWER_SECONDS,
)
ADMIN = User("admin", unrestricted=True)
USERS = (GATEWAY, SYNC_WORKER, VAULT_BROKER, ADMIN)
