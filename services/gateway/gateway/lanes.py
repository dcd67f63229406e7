"""One stream's way through the relay: how many of its messages may be on their way, and when."""

import random
import time

import msgspec

from gateway.store.outbox import Claimed

PLACES = 50
PROBE_SECONDS = 0.5
LONGEST_PROBE_SECONDS = 5.0
FIRST_DELAY = 1.0
# A message is tried soon after its stream is back; one that the stream itself refuses is tried rarely.
LONGEST_DELAY_AWAY = 10.0
LONGEST_DELAY_REFUSED = 300.0


class Answer(msgspec.Struct, frozen=True):
    """How a try to publish ended: the place in the stream, or None and the seconds until the next try.

    `silent` says that the stream did not answer at all.
    """

    message: Claimed
    seq: int | None = None
    delay: float = 0.0
    silent: bool = False


class Lane:
    """The messages of one stream that this relay has claimed.

    A stream that answers is given up to fifty messages at once. One that left the last message without an
    answer is probed with a single message, less and less often, until it answers again.
    """

    def __init__(self) -> None:
        self.claimed: dict[int, Claimed] = {}
        self.answers: list[Answer] = []
        self.settling = False
        self.more = False
        self._silent = False
        self._probes = 0
        self._resting_until = 0.0

    @property
    def away(self) -> bool:
        """Tell whether the stream left the last message without an answer."""
        return self._silent

    def places(self) -> int:
        """Give how many messages may be claimed now."""
        if not self._silent:
            return PLACES - len(self.claimed)
        return int(not self.claimed and time.monotonic() >= self._resting_until)

    def answered(self, answer: Answer) -> None:
        """Keep an answer until it is settled."""
        self.answers.append(answer)
        self._silent = answer.silent
        if not answer.silent:
            self._probes = 0

    def settled(self, answers: list[Answer]) -> None:
        """Free the places of messages that were deleted or put off."""
        del self.answers[: len(answers)]
        for answer in answers:
            del self.claimed[answer.message.id]
        if self._silent and not self.claimed:
            # The first probe follows at once: the message may have been at fault, not the stream.
            rest = min(PROBE_SECONDS * 2**self._probes, LONGEST_PROBE_SECONDS) if self._probes else 0.0
            self._resting_until = time.monotonic() + rest
            self._probes = min(self._probes + 1, 10)


def delay(attempts: int, longest: float) -> float:
    """Give the seconds until a message is tried again: twice as long after each try, with jitter."""
    return min(FIRST_DELAY * 2.0 ** min(attempts - 1, 20), longest) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
