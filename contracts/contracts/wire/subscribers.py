"""Programs that hear account events: of one user, or of all, live and from a consumer of their own."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

import msgspec

from contracts import subjects
from contracts.wire.rights import Limits, User, consuming
from contracts.wire.topology import ACCOUNT_EVENTS, KIB, Consumer

PREFIX = "subscriber"
# An account on the server and a consumer each: so many are written and reloaded within a second.
MAX_SUBSCRIBERS = 256
MAX_NAME = 64
# One that acknowledges nothing is handed so many events, and no more.
MAX_UNACKNOWLEDGED = 256
LIMITS = Limits(connections=16, subscriptions=256, payload=4 * KIB)

Name = Annotated[str, msgspec.Meta(pattern=f"^{PREFIX}(-[a-z0-9]+)*$", max_length=MAX_NAME)]
PublicKey = Annotated[str, msgspec.Meta(pattern="^U[A-Z2-7]{55}$")]


class Subscriber(msgspec.Struct, frozen=True):
    """A program that hears the events of one user, or of all users where there is no `user_id`.

    It has a consumer of its own, named like it, from which it reads what it missed.
    """

    name: Name
    public_key: PublicKey
    user_id: UUID | None = None

    @property
    def events(self) -> str:
        """Name what it hears."""
        return subjects.ACCOUNT_EVENTS_ALL if self.user_id is None else subjects.account_events(self.user_id)

    @property
    def consumer(self) -> Consumer:
        """Describe its consumer."""
        return Consumer(str(ACCOUNT_EVENTS.name), self.name, self.events, max_ack_pending=MAX_UNACKNOWLEDGED)

    @property
    def user(self) -> User:
        """Give its rights: to hear its events, and to read and acknowledge what its consumer has."""
        return User(
            self.name,
            publish=consuming(self.consumer),
            # In an account of its own every inbox is its own.
            subscribe=(self.events, "_INBOX.>"),
            limits=LIMITS,
        )


Subscribers = Annotated[tuple[Subscriber, ...], msgspec.Meta(max_length=MAX_SUBSCRIBERS)]


def read_subscribers(written: bytes) -> tuple[Subscriber, ...]:
    """Read the list of subscribers; raises msgspec.DecodeError."""
    return msgspec.json.decode(written, type=Subscribers)


def write_subscribers(subscribers: Iterable[Subscriber]) -> bytes:
    """Write the list of subscribers; raises msgspec.ValidationError for one that could not be read."""
    written = msgspec.json.format(msgspec.json.encode(list(subscribers)), indent=2) + b"\n"
    read_subscribers(written)
    return written
