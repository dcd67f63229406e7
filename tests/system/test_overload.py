"""A full connection pool is not a lost database: the gateway tells waiting clients to retry."""

import asyncio
from contextlib import suppress

import httpx

from deploy.local.postgres import SUPERUSER, Postgres
from gateway.store.pool import MAX_CONNECTIONS
from tests.system.person import Person
from tests.waiting import until

WRITERS = 4 * MAX_CONNECTIONS


async def test_a_full_pool_answers_overloaded_and_is_ready(person: Person, database: Postgres) -> None:
    """When others hold every connection the response is overloaded with Retry-After; /readyz stays ready."""
    account = await person.connect("plain")
    answers: list[httpx.Response] = []
    root = str(person.client.base_url).partition("/api/v1")[0]

    async def write() -> None:
        """Wait for a row that another transaction has locked, again and again."""
        while True:
            with suppress(httpx.TransportError):
                await person.client.patch(f"/accounts/{account['id']}", json={"name": "other"})

    async def overloaded() -> bool:
        answers.append(await person.client.get("/accounts"))
        assert (await person.client.get(f"{root}/readyz")).status_code == 200
        return answers[-1].status_code == 503

    async with await database.connect(SUPERUSER) as holder, holder.transaction():
        await holder.execute("select from accounts where id = %s for update", [account["id"]])
        writing = [asyncio.create_task(write()) for _ in range(WRITERS)]
        await until(overloaded, 60)
        for each in writing:
            each.cancel()
        await asyncio.wait(writing)

    refused = answers[-1]
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("overloaded", "1")
    assert {each.status_code for each in answers} <= {200, 503}

    async def well() -> bool:
        return (await person.client.get("/accounts")).status_code == 200

    await until(well)
