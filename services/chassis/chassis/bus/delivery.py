"""A delivery of a message to a handler, which may ask for another one later. Pure."""

from datetime import datetime

import msgspec

MESSAGE_ID = "Nats-Msg-Id"
MAX_DELAY = 60.0


class Delivery(msgspec.Struct, frozen=True):
    """One delivery of a message: its raw body and the number of deliveries, including this one.

    `stored_at` is the time at which the stream stored the message, by the server's clock.
    """

    subject: str
    body: bytes
    attempt: int
    headers: dict[str, str]
    stored_at: datetime | None = None

    @property
    def message_id(self) -> str:
        """Return the id of the message, unique to its publication; empty for a message without one."""
        return self.headers.get(MESSAGE_ID, "")


class RetryLater(Exception):
    """The handler cannot handle the delivery now; the message is redelivered after `delay` seconds."""

    def __init__(self, delay: float, reason: str) -> None:
        super().__init__(reason)
        self.delay = min(delay, MAX_DELAY)
