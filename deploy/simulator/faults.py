"""Faults of a simulated exchange: each replaces or wraps one response."""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from deploy.simulator.damage import DAMAGES, damaged, dropped, edited, multiplied
from deploy.simulator.types import Answer, Exchange, Request

MEBIBYTE = 1024 * 1024
# Longer than any client waits for a response.
HANG_SECONDS = 60.0
POLL_SECONDS = 0.05
LINGER_NOT = struct.pack("ii", 1, 0)


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault by its name in FAULTS, with its parameters.

    It strikes every call, or the first `times` calls. `text` need not be JSON. `row` is a value of
    the rows that `edited` and `dropped` strike. Raises ValueError for a name that is not in FAULTS, or a
    missing parameter.
    """

    fault: str
    times: Annotated[int, Meta(ge=1, le=1000)] | None = None
    seconds: Annotated[float, Meta(ge=-1_000_000, le=1_000_000)] = 1.0
    mebibytes: Annotated[int, Meta(ge=1, le=1024)] = 1
    code: str = ""
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    retry_after: Annotated[int, Meta(ge=0, le=3600)] | None = None
    account: str | None = None
    field: Annotated[str, Meta(max_length=64)] = ""
    text: Annotated[str, Meta(max_length=4096)] = ""
    row: Annotated[str, Meta(max_length=64)] = ""
    fields: dict[str, str] = {}
    count: Annotated[int, Meta(ge=1, le=10_000)] = 2000

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"there are the faults {', '.join(FAULTS)}")
        if self.fault in {*DAMAGES, "many"} and not self.field:
            raise ValueError("this fault needs a field")
        if self.fault in {"edited", "dropped"} and not self.row:
            raise ValueError("this fault needs a row")
        if self.fault == "foreign" and self.account is None:
            raise ValueError("this fault needs an account")

    def check(self, exchange: Exchange) -> None:
        """Raise ValueError for a code, status or account that the exchange does not have."""
        if self.fault == "refusal" and self.code not in exchange.refusals:
            raise ValueError("the exchange has no such code")
        if self.fault == "refusal" and self.status not in {None, *exchange.refusals[self.code]}:
            raise ValueError("the exchange does not send this code with this status")
        if self.account not in {None, *exchange.accounts}:
            raise ValueError(f"no account is called {self.account}")


@dataclass(frozen=True, slots=True)
class Call:
    """A request that a fault strikes; `strict` is the same exchange without bursts."""

    http: web.BaseRequest
    request: Request
    fault: Fault
    exchange: Exchange
    strict: Exchange

    @property
    def usual(self) -> Answer:
        """The exchange's response without the fault."""
        return self.exchange.answer(self.request)


async def latency(call: Call) -> web.StreamResponse:
    """Answer late."""
    await asyncio.sleep(min(call.fault.seconds, HANG_SECONDS))
    return plain(call.usual)


async def refusal(call: Call) -> web.StreamResponse:
    """Refuse with a code of the exchange's table."""
    response = plain(call.exchange.refuse(call.request, call.fault.code, call.fault.status))
    if call.fault.retry_after is not None:
        response.headers["Retry-After"] = str(call.fault.retry_after)
    return response


async def strict_limits(call: Call) -> web.StreamResponse:
    """Spread the endpoint's limit evenly, as if bursts were not allowed."""
    return plain(call.strict.answer(call.request))


async def skew(call: Call) -> web.StreamResponse:
    """Answer with a clock that is `seconds` ahead."""
    now = call.request.received_at + timedelta(seconds=call.fault.seconds)
    response = plain(call.exchange.answer(replace(call.request, received_at=now)))
    response.headers["Date"] = format_datetime(now, usegmt=True)
    return response


async def foreign(call: Call) -> web.StreamResponse:
    """Answer with the data of another account."""
    return plain(call.exchange.answer(call.request, call.fault.account))


async def twice(call: Call) -> web.StreamResponse:
    """Answer, and send the same response again after `seconds`, when no request waits for it."""
    answer = call.usual
    response = plain(answer)
    await response.prepare(call.http)
    await response.write_eof()
    await asyncio.sleep(min(call.fault.seconds, HANG_SECONDS))
    if call.http.transport is not None:
        call.http.transport.write(_on_the_wire(answer))
    return response


async def hang(call: Call) -> web.StreamResponse:
    """Never answer."""
    await _gone(call.http)
    return web.Response()


async def trickle(call: Call) -> web.StreamResponse:
    """Answer with a byte a second."""
    response, body = await _begun(call)
    with suppress(ConnectionError):
        for octet in body:
            await response.write(bytes([octet]))
            await asyncio.sleep(1)
    return response


async def reset(call: Call) -> web.StreamResponse:
    """Break the connection with a TCP reset."""
    if call.http.transport is not None:
        connection = call.http.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        call.http.transport.abort()
    return web.Response()


async def half_close(call: Call) -> web.StreamResponse:
    """Send half of the response, then close only the sending direction."""
    response, body = await _begun(call)
    await response.write(body[: len(body) // 2])
    if call.http.transport is not None:
        call.http.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
    await _gone(call.http)
    return response


async def truncated(call: Call) -> web.StreamResponse:
    """Send half of the response and close the connection."""
    response, body = await _begun(call)
    await response.write(body[: len(body) // 2])
    if call.http.transport is not None:
        call.http.transport.close()
    return response


async def gzip_bomb(call: Call) -> web.StreamResponse:
    """Send a compressed body that the client did not request, and that unpacks to `mebibytes`."""
    body = gzip.compress(bytes(MEBIBYTE)) * call.fault.mebibytes
    return web.Response(body=body, content_type="application/json", headers={"Content-Encoding": "gzip"})


async def padded(call: Call) -> web.StreamResponse:
    """Send a correct response with an extra field of `mebibytes` of empty lists, or with them as rows."""
    lists = b"[]," * (call.fault.mebibytes * MEBIBYTE // 3)
    body = _encoded(call.usual)
    if body.startswith(b"["):
        return _json(b"[" + lists + (b"[]" if body == b"[]" else b"") + body[1:])
    return _json(b'{"padding":[' + lists + b"[]]," + body[1:])


async def page(call: Call) -> web.StreamResponse:
    """Answer with an HTML page."""
    text = "<!DOCTYPE html><title>Exchange</title><h1>One moment, please</h1>"
    return web.Response(status=call.fault.status or 200, text=text, content_type="text/html")


async def redirect(call: Call) -> web.StreamResponse:
    """Redirect the client to an address with the requested response."""
    return web.Response(status=call.fault.status or 302, headers={"Location": f"{call.request.target}#moved"})


async def damage(call: Call) -> web.StreamResponse:
    """Answer with one field damaged."""
    return _json(damaged(call.usual.body, call.fault.fault, call.fault.field, call.fault.text).encode())


async def edit(call: Call) -> web.StreamResponse:
    """Answer with other `fields` in each row that has the value `row`, for example a price."""
    usual = call.usual
    return plain(usual._replace(body=edited(usual.body, call.fault.row, call.fault.fields)))


async def drop(call: Call) -> web.StreamResponse:
    """Answer without the rows that have the value `row`."""
    usual = call.usual
    return plain(usual._replace(body=dropped(usual.body, call.fault.row)))


async def many(call: Call) -> web.StreamResponse:
    """Answer with a list of `count` rows, each with another value in `field`."""
    usual = call.usual
    return plain(usual._replace(body=multiplied(usual.body, call.fault.field, call.fault.count)))


FAULTS: dict[str, Callable[[Call], Awaitable[web.StreamResponse]]] = {
    "latency": latency,
    "refusal": refusal,
    "strict-limits": strict_limits,
    "skew": skew,
    "foreign": foreign,
    "twice": twice,
    "hang": hang,
    "trickle": trickle,
    "reset": reset,
    "half-close": half_close,
    "truncated": truncated,
    "gzip-bomb": gzip_bomb,
    "padded": padded,
    "page": page,
    "redirect": redirect,
    "edited": edit,
    "dropped": drop,
    "many": many,
    **dict.fromkeys(DAMAGES, damage),
}


def plain(answer: Answer) -> web.StreamResponse:
    """Send a response unchanged."""
    response = _json(_encoded(answer), answer.status)
    response.headers.update(answer.headers)
    return response


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8")


def _encoded(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()


def _on_the_wire(answer: Answer) -> bytes:
    """Write a whole response."""
    body = _encoded(answer)
    head = (
        f"HTTP/1.1 {answer.status} Again\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    )
    return head.encode() + b"\r\n" + body


async def _begun(call: Call) -> tuple[web.StreamResponse, bytes]:
    """Send the head of the usual response, with its full length, and return the body to send after it."""
    answer = call.usual
    body = _encoded(answer)
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(call.http)
    return response, body


async def _gone(http: web.BaseRequest) -> None:
    """Wait until the client closes the connection, HANG_SECONDS at most."""
    for _ in range(int(HANG_SECONDS / POLL_SECONDS)):
        if http.transport is None or http.transport.is_closing():
            return
        await asyncio.sleep(POLL_SECONDS)
