"""Messages in the outbox."""

from uuid import UUID

import msgspec

from chassis.tracing import TRACEPARENT
from contracts.wire.envelope import SECONDS_LEFT_HEADER


class Outgoing(msgspec.Struct, frozen=True):
    """A message to publish once; the stream drops duplicates of its `message_id`.

    `traceparent` is the span that caused it; None for that of the insert.
    """

    message_id: str
    subject: str
    stream: str
    headers: dict[str, str]
    body: bytes
    sync_id: UUID | None = None
    traceparent: str | None = None


class Claimed(Outgoing, frozen=True, kw_only=True):
    """A message that one relay has claimed for its lease; `attempts` counts the claims.

    `seconds_left` is the time until the deadline, by the clock that set the deadline.
    """

    id: int
    attempts: int
    seconds_left: float | None = None

    def stamped(self) -> dict[str, str]:
        """Return the headers with the time left until the deadline, because the message may have waited."""
        headers = dict(self.headers)
        if self.seconds_left is not None:
            headers[SECONDS_LEFT_HEADER] = f"{self.seconds_left:.3f}"
        if self.traceparent is not None:
            headers[TRACEPARENT] = self.traceparent
        return headers
