"""Programs that receive events, of one user or of all, live and from a consumer of their own."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

import msgspec

from contracts import subjects
from contracts.streams import ACCOUNT_EVENTS, PORTFOLIO_EVENTS
from contracts.wire.bus_users import Limits, User, consuming
from contracts.wire.topology import KIB, Consumer

PREFIX = "subscriber"
# Each has an account on the server and a consumer; this many can be written and reloaded within a second.
MAX_SUBSCRIBERS = 256
MAX_NAME = 64
# A subscriber that acknowledges no event gets this many, and no more.
MAX_UNACKNOWLEDGED = 256
LIMITS = Limits(connections=16, subscriptions=256, payload=4 * KIB)

Name = Annotated[str, msgspec.Meta(pattern=f"^{PREFIX}(-[a-z0-9]+)*$", max_length=MAX_NAME)]
PublicKey = Annotated[str, msgspec.Meta(pattern="^U[A-Z2-7]{55}$")]


class Subscriber(msgspec.Struct, frozen=True):
    """A program that receives the events of one user, or of all users if `user_id` is None.

    It has a consumer of its own, with the same name, from which it reads missed events. These are the facts
    about accounts, which hold no amounts; with `portfolio` instead the changes of amounts.
    """

    name: Name
    public_key: PublicKey
    user_id: UUID | None = None
    portfolio: bool = False

    @property
    def events(self) -> str:
        """Return the pattern of its events."""
        if self.portfolio:
            every = subjects.PORTFOLIO_EVENTS_ALL
            return every if self.user_id is None else subjects.portfolio_changed(self.user_id)
        return subjects.ACCOUNT_EVENTS_ALL if self.user_id is None else subjects.account_events(self.user_id)

    @property
    def consumer(self) -> Consumer:
        """Return its consumer."""
        stream = PORTFOLIO_EVENTS if self.portfolio else ACCOUNT_EVENTS
        return Consumer(stream, self.name, self.events, max_ack_pending=MAX_UNACKNOWLEDGED)

    @property
    def user(self) -> User:
        """Return its rights: to receive its events live, and to read and ack those of its consumer."""
        return User(
            self.name,
            publish=consuming(self.consumer),
            # The account has no other user, so all inboxes belong to the subscriber.
            subscribe=(self.events, "_INBOX.>"),
            limits=LIMITS,
        )


Subscribers = Annotated[tuple[Subscriber, ...], msgspec.Meta(max_length=MAX_SUBSCRIBERS)]


def read_subscribers(written: bytes) -> tuple[Subscriber, ...]:
    """Parse the list of subscribers; raises msgspec.DecodeError."""
    return msgspec.json.decode(written, type=Subscribers)


def write_subscribers(subscribers: Iterable[Subscriber]) -> bytes:
    """Return the list of subscribers as JSON; raises msgspec.ValidationError for an invalid entry."""
    written = msgspec.json.format(msgspec.json.encode(list(subscribers)), indent=2) + b"\n"
    read_subscribers(written)
    return written
