"""Single messages of a stream, read and deleted by number, as far as the rights of the service allow."""

from base64 import b64decode
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from nats.errors import Error

from chassis.bus.connection import Bus, BusUnavailable
from contracts.wire.envelope import Malformed, decode

SECONDS = 2.0
# The server's code for a sequence number or subject without a message.
NOT_FOUND = 404
NOT_THERE = 10043  # deleting a message that is gone; 2.15.1 answers it with HTTP's 400 or 500


class StoredMessage(msgspec.Struct, frozen=True):
    """A message of a stream; `stored_at` is the time of the server's clock when it was stored."""

    sequence: int
    subject: str
    body: bytes
    headers: dict[str, str]
    stored_at: datetime


class _Error(msgspec.Struct, frozen=True):
    code: int
    err_code: int = 0


class _Message(msgspec.Struct, frozen=True):
    """A message as the server writes it; `hdrs` and `data` are base64."""

    seq: int
    subject: str
    time: datetime
    hdrs: str = ""
    data: str = ""


class _Found(msgspec.Struct, frozen=True):
    message: _Message | None = None
    error: _Error | None = None


class _Deleted(msgspec.Struct, frozen=True):
    success: bool = False
    error: _Error | None = None


Reply = TypeVar("Reply", _Found, _Deleted)


async def next_message(bus: Bus, stream: str, subject: str, sequence: int) -> StoredMessage | None:
    """Return the first message on matching subjects from a sequence number on; raises BusUnavailable."""
    return await _get(bus, stream, {"seq": max(sequence, 1), "next_by_subj": subject})


async def message_at(bus: Bus, stream: str, sequence: int) -> StoredMessage | None:
    """Return the message with a sequence number; raises BusUnavailable."""
    return await _get(bus, stream, {"seq": sequence})


async def delete_message(bus: Bus, stream: str, sequence: int) -> bool:
    """Delete a message, and return whether it was there; raises BusUnavailable."""
    reply = await _ask(
        bus, f"$JS.API.STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True}, _Deleted
    )
    if reply.error is None:
        return reply.success
    if reply.error.code == NOT_FOUND or reply.error.err_code == NOT_THERE:
        return False
    raise BusUnavailable(f"The stream {stream} did not delete a message ({reply.error.err_code}).")


async def _get(bus: Bus, stream: str, question: dict[str, Any]) -> StoredMessage | None:
    reply = await _ask(bus, f"$JS.API.STREAM.MSG.GET.{stream}", question, _Found)
    if reply.message is not None:
        said = reply.message
        return StoredMessage(said.seq, said.subject, b64decode(said.data), _headers(said.hdrs), said.time)
    if reply.error is not None and reply.error.code == NOT_FOUND:
        return None
    raise BusUnavailable(f"The stream {stream} did not return a message.")


async def _ask(bus: Bus, subject: str, question: dict[str, Any], kind: type[Reply]) -> Reply:
    try:
        answer = await bus.client.request(subject, msgspec.json.encode(question), timeout=SECONDS)
        reply: Reply = decode(answer.data, kind)
    except (Error, AssertionError, Malformed) as error:
        raise BusUnavailable(f"The server did not answer {subject} ({type(error).__name__}).") from None
    return reply


def _headers(encoded: str) -> dict[str, str]:
    """Read the headers of a message; of a repeated one the first counts."""
    lines = b64decode(encoded).decode("utf-8", "replace").split("\r\n")[1:]
    pairs = [line.partition(":") for line in lines if ":" in line]
    return {name.strip(): value.strip() for name, _, value in reversed(pairs)}
