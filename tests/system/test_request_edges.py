"""Requests that are too deep, too large or too slow, on real sockets."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import httpx
import pytest

from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from tests.system.person import Person

SECONDS = 10
POST = "POST /api/v1/auth/login HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode()
LOGIN = b'{"email": "me@example.com", "password": "correct horse battery"}'


def nested(depth: int) -> str:
    """Return JSON with that many nested lists."""
    return "[" * depth + "]" * depth


def slowly(text: str) -> Iterable[bytes]:
    """Return bytes to send one a second, more than the timeout allows."""
    return (bytes([byte]) for byte in text.ljust(4 * SECONDS, "x").encode())


async def exchanged(port: int, parts: Iterable[bytes]) -> tuple[bytes, float]:
    """Send parts one a second until the server closes, and return its response and the seconds taken."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection(LOOPBACK, port)

    async def send() -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(1)  # this client is slow by nature

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(4 * SECONDS):
            said = await reader.read()
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        writer.close()
    return said, time.monotonic() - began


def problem(said: bytes) -> tuple[int, str]:
    """Return status and code of the one response in the received bytes."""
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head.split()[1]), json.loads(body)["code"]


async def test_slow_clients_are_let_go(stack: Stack) -> None:
    """A client is closed after ten seconds without bytes, or with a head or body at a byte a second."""
    port = stack.ports["gateway"]
    length = f"{POST}Content-Length: 100\r\n\r\n".encode()
    chunks = (b"1\r\nx\r\n" for _ in range(4 * SECONDS))
    answers = await asyncio.gather(
        exchanged(port, []),
        exchanged(port, slowly("GET /healthz HTTP/1.1\r\nX-Slow: ")),
        exchanged(port, slowly("PRI * HTTP/2.0\r\n\r\n")),
        exchanged(port, [b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n", *slowly("GET /")]),
        exchanged(port, [length, *slowly("{")]),
        exchanged(port, [CHUNKED, *chunks]),
    )

    assert all(SECONDS - 1 < seconds < SECONDS + 5 for _, seconds in answers)
    silent, head, http2, second_head, body, chunked = (said for said, _ in answers)
    assert silent == head == http2 == b""
    assert second_head.startswith(b"HTTP/1.1 200")
    assert problem(body) == problem(chunked) == (408, "request_too_slow")


async def test_slow_clients_hold_up_nobody(stack: Stack) -> None:
    """With a few hundred connections whose body does not come, the server answers a new one as usual."""
    opened = await asyncio.gather(
        *(asyncio.open_connection(LOOPBACK, stack.ports["gateway"]) for _ in range(300))
    )
    for _, writer in opened:
        writer.write(f"{POST}Content-Length: 100\r\n\r\n".encode())

    async with httpx.AsyncClient(base_url=stack.api, timeout=SECONDS / 2, trust_env=False) as client:
        assert (await client.get("/api/v1/exchanges")).is_success
    for _, writer in opened:
        writer.close()


def flooded(port: int, head: bytes, part: bytes) -> bytes:
    """Send an endless body until the server closes, and return its response."""
    with socket.create_connection((LOOPBACK, port), timeout=SECONDS / 2) as client:
        with suppress(ConnectionError):
            client.sendall(head)
            while True:
                client.sendall(part)
        return client.recv(65536)


async def test_a_body_without_an_end_is_refused(stack: Stack) -> None:
    """The server stops reading at 64 KiB: the response is 413 and the connection is closed."""
    port = stack.ports["gateway"]
    length = f"{POST}Content-Length: 1000000000\r\n\r\n".encode()

    for head, part in [(length, b" " * 8192), (CHUNKED, b"2000\r\n%b\r\n" % (b" " * 8192))]:
        assert problem(await asyncio.to_thread(flooded, port, head, part)) == (413, "request_too_large")


@pytest.mark.parametrize("spaces", [0, 1])
async def test_a_body_is_64_kib_at_most_however_it_is_sent(stack: Stack, spaces: int) -> None:
    """A body within the limit is read, with a length and in chunks; one byte more is 413."""
    body = b" " * (64 * 1024 - len(LOGIN) + spaces) + LOGIN

    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(body), 8192):
            yield body[begin : begin + 8192]

    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=f"{stack.api}/api/v1", trust_env=False) as client:
        for content in (body, chunks()):
            answer = await client.post("/auth/login", content=content, headers=headers)
            assert answer.status_code == (413 if spaces else 401)


@pytest.mark.parametrize("path", ["/auth/login", "/accounts"])
async def test_who_sends_too_much_hears_why(stack: Stack, path: str) -> None:
    """A client that is still sending gets the refusal, because up to half a mebibyte is read first."""
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=f"{stack.api}/api/v1", trust_env=False) as client:
        for _ in range(50):
            answer = await client.post(path, content=b" " * 512 * 1024, headers=headers)
            assert answer.status_code == (413 if path == "/auth/login" else 401)


@pytest.mark.parametrize("depth", [17, 1000, 30_000])
async def test_deep_json_is_refused(person: Person, depth: int) -> None:
    """A deep value is a problem as the whole body, in a known field and in an unknown one."""
    headers = {"Content-Type": "application/json"}
    for path in ("/auth/register", "/auth/login", "/auth/refresh", "/accounts"):
        for body in (
            nested(depth),
            f'{{"email": {nested(depth)}, "password": "correct horse battery"}}',
            f'{{"credentials": {{"api_key": {nested(depth)}}}}}',
            f'{{"unknown": {nested(depth)}}}',
        ):
            answer = await person.client.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
