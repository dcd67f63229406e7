"""A client that stops reading is not waited for."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from litestar.types import Message, Receive, Scope, Send

from gateway.errors import TooBusy
from gateway.http.flowing import Flowing

PATH = cast(
    "Scope", {"type": "http", "path": "/api/v1/portfolio/export", "user": SimpleNamespace(id=UUID(int=1))}
)
OTHER = cast("Scope", {**PATH, "user": SimpleNamespace(id=UUID(int=2))})


async def nothing() -> Any:
    """Receive nothing."""
    await asyncio.Event().wait()


async def streaming(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Send a response of two chunks."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(2):
        await send({"type": "http.response.body", "body": b"1", "more_body": number == 0})


async def test_a_response_that_is_not_read_ends() -> None:
    """With an error, after which the server ends the connection."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await Flowing(0.01).handle(PATH, nothing, send, streaming)
    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body"]


async def test_slow_readers_hold_few_responses_in_memory() -> None:
    """A user has a quarter of them; others have theirs, and one that ends makes room."""
    flowing, reading = Flowing(at_once=8), asyncio.Event()

    async def send(_message: Message) -> None:
        await reading.wait()

    slow = [asyncio.create_task(flowing.handle(PATH, nothing, send, streaming)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await flowing.handle(PATH, nothing, send, streaming)
    other = asyncio.create_task(flowing.handle(OTHER, nothing, send, streaming))
    reading.set()
    await asyncio.gather(*slow, other)
    await flowing.handle(PATH, nothing, send, streaming)


async def test_a_response_that_is_read_is_whole() -> None:
    """However many chunks it has."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await Flowing().handle(PATH, nothing, send, streaming)

    assert len(sent) == 3
