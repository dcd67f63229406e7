"""Sync requests: waiting or not, first or repeated, one or many."""

import asyncio
from uuid import uuid4

import pytest

from deploy.local.postgres import SUPERUSER, Postgres
from tests.system.person import Person
from tests.waiting import until


async def test_a_client_that_does_not_wait_finds_the_outcome(person: Person) -> None:
    """`respond-async` is 202 with the address of the later outcome."""
    account = await person.connect("plain")

    response = await person.client.post(
        f"/accounts/{account['id']}/sync", headers={"Prefer": "respond-async"}
    )

    queued = response.json()
    assert (response.status_code, queued["status"], queued["success"]) == (202, "queued", None)
    location = response.headers["Location"].removeprefix("/api/v1")

    async def ended() -> bool:
        return bool((await person.get(location))["success"])

    await until(ended)


async def test_a_batch_that_is_not_waited_for_counts_what_is_pending(person: Person) -> None:
    """A sync-all that returns at once has the same shape and counts the open syncs."""
    await person.connect("plain")
    await person.connect("margin")

    response = await person.client.post("/accounts/sync-all", headers={"Prefer": "respond-async"})

    batch = response.json()
    assert (response.status_code, batch["total"], batch["pending"]) == (202, 2, 2)
    location = response.headers["Location"].removeprefix("/api/v1")

    async def ended() -> bool:
        return bool((await person.get(location))["successful"] == 2)

    await until(ended)


async def test_requests_for_an_open_sync_join_it(person: Person) -> None:
    """Many requests at once make one sync, and all get its outcome."""
    account = await person.connect("plain")

    answers = await asyncio.gather(*(person.post(f"/accounts/{account['id']}/sync") for _ in range(10)))

    assert {answer["success"] for answer in answers} == {True}
    listed = (await person.get(f"/accounts/{account['id']}/syncs"))["items"]
    assert {answer["sync_id"] for answer in answers} == {sync["sync_id"] for sync in listed}
    assert len(listed) < len(answers)


async def test_an_idempotency_key_makes_one_sync(person: Person) -> None:
    """The same key again is the same sync, also after it ended; another request with it is refused."""
    account = await person.connect("plain")
    path, key = f"/accounts/{account['id']}/sync", str(uuid4())

    first = await asyncio.gather(*(person.post(path, Idempotency_Key=key) for _ in range(5)))
    again = await person.post(path, Idempotency_Key=key)

    assert {answer["sync_id"] for answer in first} == {again["sync_id"]}
    assert len((await person.get(f"/accounts/{account['id']}/syncs"))["items"]) == 1
    refused = await person.post("/accounts/sync-all", None, 422, Idempotency_Key=key)
    assert refused["code"] == "idempotency_key_reused"


async def test_syncs_are_listed_newest_first_by_cursor(person: Person) -> None:
    """Pages follow each other without a gap or a repetition."""
    account = await person.connect("plain")
    made = [(await person.post(f"/accounts/{account['id']}/sync"))["sync_id"] for _ in range(3)]

    first = await person.get(f"/accounts/{account['id']}/syncs?limit=2")
    second = await person.get(f"/accounts/{account['id']}/syncs?limit=2&cursor={first['next_cursor']}")

    pages = [sync["sync_id"] for sync in first["items"] + second["items"]]
    assert pages == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x"])
async def test_a_bad_page_is_refused(person: Person, query: str) -> None:
    """A limit out of bounds or an invalid cursor is a problem, not another page."""
    account = await person.connect("plain")

    await person.get(f"/accounts/{account['id']}/syncs?{query}", 400)


async def test_times_move_with_the_outcome(person: Person) -> None:
    """A completed sync moves both times; neither is before the request."""
    account = await person.connect("plain")

    sync = await person.post(f"/accounts/{account['id']}/sync")

    shown = await person.get(f"/accounts/{account['id']}")
    assert sync["requested_at"] <= shown["last_synced_at"] <= shown["last_attempt_at"] <= sync["finished_at"]


async def test_the_audit_tells_the_story_and_can_not_be_changed(person: Person, database: Postgres) -> None:
    """Every step is in order; not even the superuser changes it by accident."""
    account = await person.connect("sub-account")  # which no other test uses often enough to be limited
    await person.post(f"/accounts/{account['id']}/sync")
    async with await database.connect(SUPERUSER) as connection:
        rows = await connection.execute("select action from audit order by id")
        assert [action for (action,) in await rows.fetchall()] == [
            "user_registered",
            "login_succeeded",
            "credential_submitted",
            "account_connected",
            "sync_requested",
            "sync_recorded",
        ]
        for statement in (b"update audit set action = ''", b"delete from audit", b"truncate audit"):
            with pytest.raises(Exception, match="append-only"):
                await connection.execute(statement)
