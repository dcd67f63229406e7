"""An Idempotency-Key stands for the sync of its first request, even if that joined an open sync."""

import asyncio
import json
from typing import Any
from uuid import uuid4

from deploy.local.postgres import Postgres
from tests.system.person import Person
from tests.system.test_sweeper import queued, run

AT_ONCE = {"Prefer": "respond-async"}


async def opened(database: Postgres, person: Person) -> tuple[str, str]:
    """Return the path of an account's syncs and the id of its open sync, which stays open."""
    path, sync_id = await queued(database, person)
    return f"/accounts/{(await person.get(path))['account_id']}/sync", sync_id


async def end(database: Postgres, sync_id: str) -> None:
    """End a sync as its outcome would."""
    await run(
        database,
        """update syncs set status = 'failed', finished_at = now(), error_code = 'key_unknown'
           where id = %s and status = 'queued'""",
        sync_id,
    )


async def test_a_key_of_a_joined_sync_is_of_that_sync(person: Person, database: Postgres) -> None:
    """A request that joined an open sync, repeated after that sync ended, returns that sync."""
    path, joined = await opened(database, person)
    first = await person.post(path, None, 202, Idempotency_Key="joins", **AT_ONCE)
    assert first["sync_id"] == joined
    await end(database, joined)

    again = await person.post(path, None, 200, Idempotency_Key="joins")

    assert (again["sync_id"], again["status"]) == (joined, "failed")
    assert [sync["sync_id"] for sync in (await person.get(f"{path}s"))["items"]] == [joined]


async def test_a_key_keeps_its_sync_beside_a_newer_one(person: Person, database: Postgres) -> None:
    """The next request with another key is a new sync; the first key still stands for the old one."""
    path, joined = await opened(database, person)
    await person.post(path, None, 202, Idempotency_Key="joins", **AT_ONCE)
    await end(database, joined)

    newer = await person.post(path, Idempotency_Key=str(uuid4()))
    again = await person.post(path, Idempotency_Key="joins")

    assert newer["sync_id"] != joined
    assert again["sync_id"] == joined


async def test_requests_at_once_with_one_key_join_one_sync(person: Person, database: Postgres) -> None:
    """Requests at the same time, with one key or with one key each, all return the sync they joined."""
    path, joined = await opened(database, person)
    keys = ["together"] * 5 + ["own-1", "own-2", "own-3"]

    async def ask(key: str, status: int) -> Any:
        return await person.post(path, None, status, Idempotency_Key=key, **AT_ONCE)

    first = await asyncio.gather(*(ask(key, 202) for key in keys))
    await end(database, joined)
    again = await asyncio.gather(*(ask(key, 200) for key in keys))

    assert {answer["sync_id"] for answer in (*first, *again)} == {joined}
    assert len((await person.get(f"{path}s"))["items"]) == 1


async def test_a_key_of_a_batch_keeps_the_syncs_it_joined(person: Person, database: Postgres) -> None:
    """A sync-all that joined an open sync, repeated after it ended, is the same batch with that sync."""
    _, joined = await opened(database, person)
    first = await person.post("/accounts/sync-all", None, 202, Idempotency_Key="all", **AT_ONCE)
    assert [row["sync_id"] for row in first["results"]] == [joined]
    await end(database, joined)

    again = await person.post("/accounts/sync-all", None, 200, Idempotency_Key="all")

    assert again["batch_id"] == first["batch_id"]
    assert ([row["sync_id"] for row in again["results"]], again["pending"]) == ([joined], 0)


async def replayed(person: Person, path: str, key: str, **headers: str) -> tuple[bool, Any]:
    """Send with a key, and return whether the response is marked as replayed, and the response."""
    response = await person.client.post(path, headers={"Idempotency-Key": key} | headers)
    assert response.status_code in {200, 202}
    return response.headers.get("Idempotency-Replayed") == "true", response.json()


async def test_a_repeated_answer_is_marked(person: Person) -> None:
    """The first response is not marked, whatever its status, nor is a response to a request without a key."""
    account = await person.connect("plain")
    for path in (f"/accounts/{account['id']}/sync", "/accounts/sync-all"):
        marks = [(await replayed(person, path, "marked" + path[-8:]))[0] for _ in range(3)]
        assert marks == [False, True, True]
        late = [(await replayed(person, path, "late" + path[-8:], **AT_ONCE))[0] for _ in range(2)]
        assert late == [False, True]
        response = await person.client.post(path)
        assert "Idempotency-Replayed" not in response.headers


async def test_a_repeated_failure_says_that_a_new_key_tries_again(person: Person, database: Postgres) -> None:
    """In one sync and in each of a batch; the remedy for the fault comes after it."""
    path, joined = await opened(database, person)
    for where in (path, "/accounts/sync-all"):
        mark, answer = await replayed(person, where, where[-8:], **AT_ONCE)
        assert (mark, "Idempotency-Key" in json.dumps(answer)) == (False, False)
    await end(database, joined)
    first = await person.get(f"/syncs/{joined}")

    for where in (path, "/accounts/sync-all"):
        mark, answer = await replayed(person, where, where[-8:])
        (sync,) = answer.get("results", [answer])
        assert mark
        assert sync["error_code"] == "key_unknown"
        assert "new Idempotency-Key" in sync["next_action"]
        assert sync["next_action"].endswith(first["next_action"])
    assert "Idempotency-Key" not in first["next_action"]


async def test_the_mark_of_a_repeated_answer_is_documented(person: Person) -> None:
    """Each route that takes the key describes the response header."""
    root = str(person.client.base_url).partition("/api/v1")[0]
    document = (await person.client.get(f"{root}/openapi.json")).json()
    taking = [
        operation["responses"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", []))
    ]

    assert len(taking) == 2
    assert all("Idempotency-Replayed" in responses["200"]["headers"] for responses in taking)
