"""A request in flight at shutdown is answered: with its result within the grace, else with a problem."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import httpx
import pytest
from litestar import Litestar, get, post
from litestar.types import Receive, Scope, Send

from gateway.http.answers import EXCEPTION_HANDLERS
from gateway.http.shutdown import RETRY_AFTER, Ending
from gateway.http.situations import AGAIN, UNSURE, Doing
from tests.gateway.looping import looping
from tests.waiting import SECONDS, until

# Forms that Litestar will drop in its next major version.
pytestmark = pytest.mark.filterwarnings(
    "ignore::litestar.exceptions.base_exceptions.LitestarDeprecationWarning",
    "ignore::DeprecationWarning:litestar",
)
GRACE = 0.2
LONG = 30.0


class Gateway:
    """An application with slow routes; `begun` counts its requests, and `free` lets them end."""

    def __init__(self, grace: float = GRACE) -> None:
        self.begun = 0
        self.ended: list[bool] = []
        self.free = asyncio.Event()
        self.stopping = asyncio.Event()
        self.ending = Ending(self.stopping, grace)

    async def work(self) -> str:
        """Run until freed; notes whether it was, or was cut off."""
        self.begun += 1
        try:
            await self.free.wait()
        finally:
            self.ended.append(self.free.is_set())
        return "done"

    async def in_flight(self, many: int = 1) -> None:
        """Wait until so many requests are running."""

        async def running() -> bool:
            return self.begun >= many

        await until(running)

    def application(self) -> Litestar:
        """Return the application."""

        @get("/slow")
        async def slow() -> str:
            return await self.work()

        @post("/sync", situation=Doing.SYNC)
        async def sync() -> str:
            return await self.work()

        @get("/broken")
        async def broken() -> str:
            raise ZeroDivisionError

        return Litestar(
            [slow, sync, broken],
            middleware=[self.ending],
            exception_handlers=EXCEPTION_HANDLERS,
            openapi_config=None,
            logging_config=None,
        )


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client, while the part that waits for the signal runs."""
    transport = httpx.ASGITransport(gateway.application())  # type: ignore[arg-type]  # its scope is a typed dict
    async with (
        asyncio.timeout(SECONDS),
        looping(gateway.ending.run()),
        httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=LONG) as client,
    ):
        yield client


async def test_a_request_that_ends_within_the_grace_has_its_answer() -> None:
    """The signal alone cuts no request off."""
    gateway = Gateway(LONG)
    async with serving(gateway) as client:
        request = asyncio.create_task(client.get("/slow"))
        await gateway.in_flight()
        gateway.stopping.set()
        await asyncio.sleep(0)
        gateway.free.set()
        answer = await request

    assert (answer.status_code, answer.text) == (HTTPStatus.OK, "done")


async def test_a_request_that_takes_longer_is_told_what_may_have_happened() -> None:
    """A problem with the time to retry, and for a change how to see whether it was made."""
    gateway = Gateway()
    async with serving(gateway) as client:
        requests = [asyncio.create_task(each) for each in (client.get("/slow"), client.post("/sync"))]
        await gateway.in_flight(2)
        gateway.stopping.set()
        looked, changed = await asyncio.gather(*requests)

    for answer, words in ((looked, AGAIN), (changed, UNSURE[Doing.SYNC])):
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "shutting_down")
        assert answer.headers["retry-after"] == str(RETRY_AFTER)
        assert problem["detail"].endswith(words)
    assert gateway.ended == [False, False]


async def test_a_request_after_the_signal_has_the_same_grace() -> None:
    """It may arrive on a connection that is still open."""
    gateway = Gateway()
    gateway.stopping.set()
    async with serving(gateway) as client:
        cut_off = await client.get("/slow")
        gateway.free.set()
        in_time = await client.get("/slow")

    assert cut_off.json()["code"] == "shutting_down"
    assert in_time.text == "done"


async def test_without_a_signal_a_request_has_no_limit() -> None:
    """A request may wait for its outcome far longer than the grace."""
    gateway = Gateway(0.0)
    async with serving(gateway) as client:
        request = asyncio.create_task(client.get("/slow"))
        await gateway.in_flight()
        await asyncio.wait([request], timeout=0.1)
        assert not request.done()
        gateway.free.set()
        assert (await request).text == "done"


async def test_a_timeout_inside_a_request_is_not_a_shutdown() -> None:
    """It is passed on as the fault that it is."""

    async def late(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise TimeoutError

    application = Ending(asyncio.Event(), LONG)(late)
    request: Any = {"type": "http", "path": "/"}
    nothing: Any = None

    with pytest.raises(TimeoutError):
        await application(request, nothing, nothing)


async def test_ended_requests_do_not_disturb_the_shutdown() -> None:
    """Answered, failed and abandoned ones have no limit to set any more."""
    gateway = Gateway()
    async with serving(gateway) as client:
        gone = asyncio.create_task(client.get("/slow"))
        await gateway.in_flight()
        gone.cancel()
        await asyncio.wait([gone])
        await client.get("/broken")
        running = asyncio.create_task(client.get("/slow"))
        await gateway.in_flight(2)
        gateway.stopping.set()

        assert (await running).json()["code"] == "shutting_down"
