"""The bucket of workers: get, and put if the value is still the one that was read."""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error, NoRespondersError

from chassis.bus.connection import Bus, BusUnavailable
from contracts import subjects
from contracts.budgets import Leases
from contracts.streams import BUDGETS
from contracts.wire.envelope import Malformed, decode, encode

SECONDS = 1.0
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
SEQUENCE, STATUS, OPERATION = "Nats-Sequence", "Status", "KV-Operation"
NOT_FOUND = "404"
# The server's codes for another last sequence of the subject.
STALE = frozenset({10071, 10164})


Value = TypeVar("Value", bound=msgspec.Struct)


class BucketMissing(BusUnavailable):
    """The bus has no such bucket, or does not let us use it: it was not provisioned by this release yet."""


class Entry(msgspec.Struct, frozen=True):
    """The leases, and the sequence of their value, 0 for none."""

    sequence: int
    leases: Leases


class _Error(msgspec.Struct, frozen=True):
    err_code: int = 0


class _Stored(msgspec.Struct, frozen=True):
    """The server's answer to a message for a stream; `ts` is not in it."""

    seq: int = 0
    error: _Error | None = None


class Values(Generic[Value]):
    """The values of one kind in the bucket, by exchange; `kind()` is the value where none was written."""

    def __init__(self, bus: Bus, subject: Callable[[str], str], kind: type[Value]) -> None:
        self._bus = bus
        self._subject = subject
        self._kind = kind

    async def read(self, exchange: str) -> tuple[int, Value]:
        """Return the value of an exchange, and its sequence; raises BucketMissing and BusUnavailable."""
        answer = await self._ask(f"$JS.API.DIRECT.GET.{BUDGETS}.{self._subject(exchange)}", b"", {})
        headers = answer.headers or {}
        if headers.get(STATUS) == NOT_FOUND:
            return 0, self._kind()
        sequence = headers.get(SEQUENCE, "")
        if not sequence.isdecimal():
            raise BusUnavailable(f"The stream {BUDGETS} did not return a value.")
        return int(sequence), self._value(answer)

    async def write(self, exchange: str, value: Value, sequence: int) -> int | None:
        """Replace the value with this sequence, and return the new sequence; None if there is another.

        Raises BucketMissing and BusUnavailable.
        """
        answer = await self._ask(self._subject(exchange), encode(value), {EXPECTED: str(sequence)})
        try:
            stored: _Stored = decode(answer.data, _Stored)
        except Malformed as error:
            raise BusUnavailable(f"The stream {BUDGETS} did not confirm a value ({error}).") from None
        if stored.error is None and stored.seq:
            return stored.seq
        if stored.error is not None and stored.error.err_code in STALE:
            return None
        raise BusUnavailable(f"The stream {BUDGETS} refused a value.")

    async def _ask(self, subject: str, body: bytes, headers: dict[str, str]) -> Msg:
        if not await self._bus.ready():
            raise BusUnavailable("The bus is not connected.")
        if self._bus.denies(subject):
            raise BucketMissing(f"The server denies {subject}.")
        try:
            return await self._bus.client.request(subject, body, timeout=SECONDS, headers=headers or None)
        except NoRespondersError:
            raise BucketMissing(f"No stream answers on {subject}.") from None
        except (Error, AssertionError) as error:
            if self._bus.denies(subject):
                raise BucketMissing(f"The server denies {subject}.") from None
            raise BusUnavailable(
                f"The server did not answer on {subject} ({type(error).__name__})."
            ) from None

    def _value(self, answer: Msg) -> Value:
        """Return a value; an empty one for the marker of a deletion, and for bytes that no worker wrote."""
        if OPERATION in (answer.headers or {}):
            return self._kind()
        try:
            value: Value = decode(answer.data, self._kind)
        except Malformed:
            return self._kind()
        return value


class Bucket:
    """The leases of the workers behind one egress address, by exchange."""

    def __init__(self, bus: Bus, group: str) -> None:
        self._leases = Values(bus, partial(subjects.budgets, group), Leases)

    async def read(self, exchange: str) -> Entry:
        """Return the leases at an exchange; raises BucketMissing and BusUnavailable."""
        return Entry(*await self._leases.read(exchange))

    async def write(self, exchange: str, leases: Leases, sequence: int) -> int | None:
        """Replace the value with this sequence, and return the new sequence; None if there is another.

        Raises BucketMissing and BusUnavailable.
        """
        return await self._leases.write(exchange, leases, sequence)
