"""The API of the usual stack: FastAPI that sends a task and waits for its result."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID, uuid4

import jwt
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from tests.bench.rival.queue import SYNC, make_queue
from tests.bench.rival.settings import settings

WAIT_SECONDS = 60
REQUEST = """
insert into syncs (id, account_id) select %s, id from accounts where id = %s and user_id = %s returning id
"""


class Results:
    """The waiting requests of this process, which one subscription answers."""

    def __init__(self) -> None:
        self.channel = f"results:{uuid4()}"
        self._waiting: dict[str, asyncio.Future[bytes]] = {}

    def expect(self, sync_id: str) -> asyncio.Future[bytes]:
        """Return the future result of a sync."""
        self._waiting[sync_id] = future = asyncio.get_running_loop().create_future()
        return future

    def forget(self, sync_id: str) -> None:
        """Stop waiting."""
        self._waiting.pop(sync_id, None)

    async def receive(self, redis: Redis) -> None:
        """Hand out results until cancelled; a message is the sync's id, 36 characters, and the body."""
        async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe(self.channel)
            async for message in subscription.listen():
                data: bytes = message["data"]
                future = self._waiting.pop(data[:36].decode(), None)
                if future is not None and not future.done():
                    future.set_result(data[36:])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the pool, the queue and the subscription as long as the API runs."""
    app.state.queue = make_queue()
    app.state.results = results = Results()
    redis = Redis(unix_socket_path=settings().redis)
    async with AsyncConnectionPool(
        settings().database, min_size=4, max_size=16, kwargs={"autocommit": True}, open=False
    ) as pool:
        app.state.pool = pool
        receiving = asyncio.create_task(results.receive(redis))
        yield
        receiving.cancel()
    await redis.aclose()


async def signed_in(authorization: Annotated[str, Header()]) -> UUID:
    """Return the user of the token."""
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), settings().jwt_key, algorithms=["HS256"])
        return UUID(claims["sub"])
    except (jwt.InvalidTokenError, KeyError, ValueError):
        raise HTTPException(401) from None


async def sync_account(
    account_id: UUID, request: Request, user_id: Annotated[UUID, Depends(signed_in)], *, funding: bool = False
) -> Response:
    """Sync an account and wait for the result."""
    state, sync_id = request.app.state, str(uuid4())
    async with state.pool.connection() as connection:
        cursor = await connection.execute(REQUEST, [sync_id, account_id, user_id])
        if await cursor.fetchone() is None:
            raise HTTPException(404)
    results: Results = state.results
    result = results.expect(sync_id)
    # Sending takes a fraction of a millisecond, less than a thread would.
    state.queue.send_task(SYNC, (sync_id, str(account_id), funding, results.channel))
    try:
        body = await asyncio.wait_for(result, WAIT_SECONDS)
    except TimeoutError:
        body = json.dumps({"sync_id": sync_id, "status": "queued"}).encode()
    finally:
        results.forget(sync_id)
    return Response(body, media_type="application/json")


async def healthy() -> Response:
    """Answer while the API runs."""
    return Response(b"{}", media_type="application/json")


app = FastAPI(lifespan=lifespan)
app.add_api_route("/accounts/{account_id}/sync", sync_account, methods=["POST"], response_class=Response)
app.add_api_route("/healthz", healthy, methods=["GET"], response_class=Response)
