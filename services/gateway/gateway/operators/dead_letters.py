"""Dead letters: list them by their headers, publish them again, or drop them.

An act is audited before it begins and after it ended: a beginning without an end was cut off, and the letter
is still there or was acted on.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec

from chassis.bus.connection import Bus, BusUnavailable, MessageRefused
from chassis.bus.stored import StoredMessage, delete_message, message_at, next_message
from contracts.streams import DEAD_LETTERS
from contracts.subjects import DEAD_LETTERS_ALL
from gateway.errors import BusAway, NoSuchLetter, NotReplayable
from gateway.operators.letters import DeadLetter, described, replayed
from gateway.store import operators
from gateway.store.operators import Act, Acting
from gateway.store.pool import Pool

MAX_AT_ONCE = 100
LAST = 2**53 - 1  # every JSON reader has it
Number = Annotated[int, msgspec.Meta(ge=1, le=LAST)]

Settle = Callable[[StoredMessage], Awaitable[bool]]
Acts = tuple[Act, Act]
# The acts of the audit: the beginning, and the end.
REPLAY: Acts = (Act.REPLAY_BEGUN, Act.DEAD_LETTER_REPLAYED)
DROP: Acts = (Act.DROP_BEGUN, Act.DEAD_LETTER_DROPPED)


class Page(msgspec.Struct, frozen=True):
    """Dead letters from the oldest on; `next_cursor` is the first of the next page, None on the last one."""

    dead_letters: tuple[DeadLetter, ...]
    next_cursor: int | None


class Settled(msgspec.Struct, frozen=True):
    """The letters that an act replayed or dropped, by sequence number.

    `kept` are those without a way back. `next_cursor` is the first of those that are left; None if none is.
    """

    settled: tuple[int, ...]
    kept: tuple[int, ...]
    next_cursor: int | None


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The letters that an act means: from `cursor` on, and `before` a sequence number.

    Letters that arise meanwhile are not among them, so a letter that dies again is not replayed in a circle.
    """

    before: Number
    cursor: Number = 1


class DeadLetters:
    """The stream of dead letters, for operators; the body of a letter never leaves it but to be replayed."""

    def __init__(self, pool: Pool, bus: Bus) -> None:
        self._pool = pool
        self._bus = bus

    async def page(self, cursor: int, limit: int) -> Page:
        """List letters from a sequence number on; raises BusAway."""
        with _away():
            found = [_described(each) async for each in self._from(cursor, LAST, limit + 1)]
        more = found[limit].sequence if len(found) > limit else None
        return Page(tuple(found[:limit]), more)

    async def replay(self, acting: Acting, sequence: int) -> None:
        """Publish a letter once more and delete it; raises NoSuchLetter, NotReplayable and BusAway."""
        await self._one(acting, sequence, self._replay, REPLAY)

    async def drop(self, acting: Acting, sequence: int) -> None:
        """Delete a letter; raises NoSuchLetter and BusAway."""
        await self._one(acting, sequence, self._drop, DROP)

    async def replay_all(self, acting: Acting, meant: Range) -> Settled:
        """Replay up to 100 letters, the oldest first; raises BusAway."""
        return await self._all(acting, meant, self._replay, REPLAY)

    async def drop_all(self, acting: Acting, meant: Range) -> Settled:
        """Delete up to 100 letters, the oldest first; raises BusAway."""
        return await self._all(acting, meant, self._drop, DROP)

    async def _one(self, acting: Acting, sequence: int, settle: Settle, acts: Acts) -> None:
        begun, ended = acts
        with _away():
            letter = await self._letter(sequence)
            await self._audit(acting, begun, sequence, letter=_audited(letter))
            if not await settle(letter):
                raise NotReplayable
        await self._audit(acting, ended, sequence)

    async def _all(self, acting: Acting, meant: Range, settle: Settle, acts: Acts) -> Settled:
        begun, ended = acts
        await self._audit(acting, begun, None, before=meant.before, cursor=meant.cursor)
        settled: list[int] = []
        kept: list[int] = []
        next_cursor = None
        try:
            with _away():
                async for letter in self._from(meant.cursor, meant.before, MAX_AT_ONCE + 1):
                    if len(settled) + len(kept) == MAX_AT_ONCE:
                        next_cursor = letter.sequence
                    else:
                        (settled if await settle(letter) else kept).append(letter.sequence)
        finally:
            await self._audit(acting, ended, None, settled=settled, kept=kept)
        return Settled(tuple(settled), tuple(kept), next_cursor)

    async def _replay(self, letter: StoredMessage) -> bool:
        """Publish a letter and delete it after the stream has confirmed it; False if it has no way back."""
        again = replayed(letter.sequence, letter.subject, letter.headers, letter.stored_at)
        if again is None:
            return False
        try:
            await self._bus.publish_once(
                again.subject, again.stream, letter.body, again.message_id, again.headers
            )
        except MessageRefused:
            return False
        return await self._drop(letter)

    async def _drop(self, letter: StoredMessage) -> bool:
        """Delete a letter; another operator may have deleted it just now."""
        await delete_message(self._bus, DEAD_LETTERS, letter.sequence)
        return True

    async def _letter(self, sequence: int) -> StoredMessage:
        letter = await message_at(self._bus, DEAD_LETTERS, sequence) if 0 < sequence < LAST else None
        if letter is None:
            raise NoSuchLetter
        return letter

    async def _from(self, cursor: int, before: int, most: int) -> AsyncIterator[StoredMessage]:
        """Yield letters in the order of the stream, one at a time, because each may hold a mebibyte."""
        for _ in range(most):
            letter = await next_message(self._bus, DEAD_LETTERS, DEAD_LETTERS_ALL, cursor)
            if letter is None or letter.sequence >= before:
                return
            yield letter
            cursor = letter.sequence + 1

    async def _audit(self, acting: Acting, act: Act, sequence: int | None, **detail: Any) -> None:
        async with self._pool.transaction() as connection:
            await operators.record(connection, acting, act, sequence, **detail)


def _described(letter: StoredMessage) -> DeadLetter:
    return described(letter.sequence, letter.subject, letter.headers, letter.stored_at, len(letter.body))


def _audited(letter: StoredMessage) -> dict[str, Any]:
    """Return the audit's detail of a letter: enough to find its sync, and nothing of its body."""
    said = _described(letter)
    return {"subject": said.subject, "reason": said.reason, "message_id": said.message_id}


@contextmanager
def _away() -> Iterator[None]:
    """Raise BusAway where the bus does not answer."""
    try:
        yield
    except BusUnavailable:
        raise BusAway from None
