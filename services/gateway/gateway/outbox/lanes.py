"""Flow control of one stream in the relay: how many of its messages may be in flight, and when."""

import random
import time

import msgspec

from gateway.rows.outbox import Claimed

PLACES = 50
REFUSED_REST = 0.1
SILENT_REST, LONGEST_SILENT_REST = 0.5, 5.0
FIRST_DELAY = 1.0
# The relay retries soon while the stream does not answer, and rarely when the stream refuses the message.
LONGEST_DELAY_SILENT, LONGEST_DELAY_REFUSED = 5.0, 300.0


class Answer(msgspec.Struct, frozen=True):
    """The result of one publish: the sequence in the stream, or None and the seconds until the next try.

    `silent` is true if the stream did not answer. If it refused the message, `reason` says why.
    """

    message: Claimed
    seq: int | None = None
    delay: float = 0.0
    silent: bool = False
    reason: str = ""


class Lane:
    """The messages of one stream that this relay has claimed, and the slots reserved for more.

    A stream that confirms gets up to fifty messages at once. A stream that did not confirm the last message
    gets a single one as a probe. The first probe is immediate, because the message may have been at fault and
    not the stream. Later probes wait, longer and longer while the stream does not answer.
    """

    def __init__(self) -> None:
        self.claimed: dict[int, Claimed] = {}
        self.reserved = 0
        self.answers: list[Answer] = []
        self.settling = False
        self.more = False
        self.silent = False
        self._confirms = True
        self._probes = 0
        self._resting_until = 0.0

    def places(self) -> int:
        """Return how many messages may be claimed now: none where slots were reserved during a claim."""
        if self._confirms:
            return max(0, PLACES - len(self.claimed) - self.reserved)
        return int(not self.claimed and time.monotonic() >= self._resting_until)

    def reserve(self, wanted: int) -> int:
        """Keep slots for messages that are not written yet; none where the stream confirms nothing."""
        reserving = min(wanted, self.places()) if self._confirms else 0
        self.reserved += reserving
        return reserving

    def answered(self, answer: Answer) -> None:
        """Keep a result until it is settled."""
        self.answers.append(answer)
        self.silent = answer.silent
        self._confirms = answer.seq is not None
        if self._confirms:
            self._probes = 0

    def settled(self, answers: list[Answer]) -> float:
        """Free the slots of deleted or postponed messages; returns the seconds until a probe."""
        del self.answers[: len(answers)]
        for answer in answers:
            del self.claimed[answer.message.id]
        if self._confirms or self.claimed:
            return 0.0
        rest = self._rest()
        self._probes = min(self._probes + 1, 10)
        self._resting_until = time.monotonic() + rest
        return rest

    def _rest(self) -> float:
        if not self._probes:
            return 0.0
        return min(SILENT_REST * 2.0**self._probes, LONGEST_SILENT_REST) if self.silent else REFUSED_REST


def delay(attempts: int, longest: float) -> float:
    """Return the seconds until a message is retried: doubled after each try, with jitter."""
    return min(FIRST_DELAY * 2.0 ** min(attempts - 1, 20), longest) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
