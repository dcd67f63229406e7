"""Traces: spans that follow a request through all services; off until `begin_with`.

`chassis.otlp` makes and exports spans. Without it `span` does nothing, and no message gets a header. Pure.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, ContextVar, copy_context
from enum import StrEnum
from typing import Protocol, TypedDict, Unpack
from uuid import UUID

import msgspec

from contracts.faults import FAULTS, Failure

TRACEPARENT = "traceparent"
_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)


class Place(msgspec.Struct, frozen=True):
    """The ids of a span in hex; `sampled` says whether its trace is exported."""

    trace_id: str
    span_id: str
    sampled: bool = True

    def header(self) -> str:
        """Return the place as W3C Trace Context writes it."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


class Facts(TypedDict, total=False):
    """The closed list of attributes: ids, names, codes and counts of ours.

    An amount, a credential, an address, or a text from a body or a client must not become one.
    """

    account_id: UUID
    attempt: int
    code: str
    consumer: str
    count: int
    exchange: str
    host: str
    http_status: int
    method: str
    outcome: str
    read: str
    route: str
    status: str
    stream: str
    subject: str
    sync_id: UUID


class Kind(StrEnum):
    """The role of a span in its trace."""

    CLIENT = "client"
    CONSUMER = "consumer"
    INTERNAL = "internal"
    PRODUCER = "producer"
    SERVER = "server"


class Span(Protocol):
    """A piece of work with a beginning and an end."""

    @property
    def place(self) -> Place | None:
        """Return its place; None for one that is not traced."""

    def say(self, **facts: Unpack[Facts]) -> None:
        """Add attributes."""

    def rename(self, name: str) -> None:
        """Replace the name."""

    def fail(self, code: str) -> None:
        """Mark the work as failed."""

    def end(self) -> None:
        """End the work."""


class _Untraced:
    """The span of a process without an exporter."""

    place = None

    def say(self, **facts: Unpack[Facts]) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, code: str) -> None:
        pass

    def end(self) -> None:
        pass


class Start(msgspec.Struct, frozen=True):
    """A span that begins: a child of `parent`, or a new trace; `link` names a span of another trace."""

    name: str
    kind: Kind
    parent: Place | None
    link: Place | None
    facts: Facts


Begin = Callable[[Start], Span]
_here: ContextVar[Place | None] = ContextVar("place", default=None)
_begins: list[Begin] = []
_UNTRACED: AbstractContextManager[Span] = nullcontext(_Untraced())


@contextmanager
def begin_with(begin: Begin) -> Iterator[None]:
    """Let this process trace, with the spans that `begin` makes."""
    _begins.append(begin)
    try:
        yield
    finally:
        _begins.remove(begin)


def is_on() -> bool:
    """Return whether this process traces."""
    return bool(_begins)


def span(
    name: str,
    kind: Kind = Kind.INTERNAL,
    *,
    parent: Place | None = None,
    link: Place | None = None,
    **facts: Unpack[Facts],
) -> AbstractContextManager[Span]:
    """Trace a block: as a child of `parent`, or of the span around it; with `link` as a new trace.

    An exception marks the span as failed with a fault code or the exception's type, never with its text.
    """
    if not _begins:
        return _UNTRACED
    above = None if link else parent or _here.get()
    return _traced(_begins[-1](Start(name, kind, above, link, facts)))


@contextmanager
def _traced(current: Span) -> Iterator[Span]:
    token = _here.set(current.place)
    try:
        yield current
    except BaseException as error:
        current.fail(known_code(error.code) if isinstance(error, Failure) else type(error).__name__)
        raise
    finally:
        _here.reset(token)
        current.end()


def here() -> Place | None:
    """Return the place of the span around the caller; None outside of one."""
    return _here.get()


def traceparent() -> str | None:
    """Return the header value for a message that the caller sends or stores; None outside of a span."""
    place = _here.get()
    return None if place is None else place.header()


def headers() -> dict[str, str]:
    """Return the header for a message that the caller sends; empty outside of a span."""
    text = traceparent()
    return {} if text is None else {TRACEPARENT: text}


def place_of(text: str | None) -> Place | None:
    """Parse a header; None for a missing or malformed one, whose message counts as one without."""
    found = _FORM.fullmatch(text or "")
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return Place(found[1], found[2], bool(int(found[3], 16) & 1))


def sender(message_headers: Mapping[str, str] | None) -> Place | None:
    """Return the span that sent a message; None for a message without a valid header."""
    return place_of((message_headers or {}).get(TRACEPARENT))


def outside() -> Context:
    """Return a copy of the caller's context outside of its span, for a task that works for several spans."""
    context = copy_context()
    context.run(_here.set, None)
    return context


def known_code(code: str) -> str:
    """Return a fault code; `unknown` for one that we do not know, because another program chose its text."""
    return str(code) if code in FAULTS else "unknown"
