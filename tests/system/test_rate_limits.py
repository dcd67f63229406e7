"""The limit of sync requests for a user, over all gateways."""

import asyncio
from collections import Counter
from http import HTTPStatus
from uuid import uuid4

import httpx

from deploy.local.postgres import Postgres
from tests.system.conftest import NewPerson
from tests.system.person import CALL_SECONDS, Person
from tests.system.test_sweeper import run
from tests.waiting import until

ASYNC = {"Prefer": "respond-async"}
TABLES = ("syncs", "sync_batches", "sync_batch_members", "audit", "outbox", "idempotency_keys", "rate_limits")


async def used_up(database: Postgres, person: Person, policy: str, quota: int) -> None:
    """Let a user have used up a limit just now."""
    user = await person.get("/me")
    await run(
        database,
        "insert into rate_limits values (%s, %s, %s, now() + interval '1 minute')",
        policy,
        user["id"],
        quota,
    )


async def test_two_gateways_let_pass_what_one_would(person: Person, second_api: str) -> None:
    """Of 200 parallel requests exactly 60 are accepted, including those that join an open sync."""
    path = f"/accounts/{(await person.connect('plain'))['id']}/sync"
    async with httpx.AsyncClient(
        base_url=second_api, headers=person.client.headers, timeout=CALL_SECONDS, trust_env=False
    ) as second:
        clients = (person.client, second) * 100
        answers = await asyncio.gather(*(client.post(path, headers=ASYNC) for client in clients))

    assert Counter(answer.is_success for answer in answers) == {True: 60, False: 140}
    assert len({answer.json()["sync_id"] for answer in answers if answer.is_success}) < 60
    left = [answer.headers["RateLimit"].partition(";t=")[0] for answer in answers if answer.is_success]
    assert sorted(left) == sorted(f'"sync";r={number}' for number in range(60))
    for answer in answers:
        assert answer.headers["RateLimit-Policy"] == '"sync";q=60;w=60'
        if not answer.is_success:
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limit_exceeded")
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["RateLimit"] == f'"sync";r=0;t={answer.headers["Retry-After"]}'
            assert 0 < int(answer.headers["Retry-After"]) <= 60


async def test_a_refused_request_changes_nothing(person: Person, database: Postgres) -> None:
    """A 429 response adds no row to any table: no sync, no batch, no key, no audit."""
    path = f"/accounts/{(await person.connect('plain'))['id']}/sync"
    await used_up(database, person, "sync", 60)
    await used_up(database, person, "sync-all", 6)

    async def rows() -> list[list[tuple[object, ...]]]:
        return [await run(database, f"select * from {table} order by 1, 2") for table in TABLES]  # noqa: S608 - own text

    before = await rows()
    for refused in (path, "/accounts/sync-all"):
        problem = await person.post(refused, None, 429, Idempotency_Key=str(uuid4()))
        assert problem["code"] == "rate_limit_exceeded"

    assert await rows() == before


async def test_a_refused_idempotency_key_can_be_used_later(person: Person, database: Postgres) -> None:
    """The key of a refused request is unused; after the window it makes the sync."""
    path, key = f"/accounts/{(await person.connect('plain'))['id']}/sync", str(uuid4())
    await used_up(database, person, "sync", 60)
    await person.post(path, None, 429, Idempotency_Key=key)

    await run(database, "update rate_limits set ends_at = now()")

    assert (await person.post(path, Idempotency_Key=key))["success"] is True


async def test_a_repeated_request_counts_once(person: Person) -> None:
    """A request with a used key is not counted, at the limit too."""
    path, key = f"/accounts/{(await person.connect('plain'))['id']}/sync", {"Idempotency-Key": str(uuid4())}
    first = [await person.client.post(path, headers=key | ASYNC) for _ in range(3)]
    batch = [
        await person.client.post("/accounts/sync-all", headers={"Idempotency-Key": "b"}) for _ in range(7)
    ]

    assert {answer.headers["RateLimit"].partition(";t=")[0] for answer in first} == {'"sync";r=59'}
    assert {answer.headers["RateLimit"].partition(";t=")[0] for answer in batch} == {'"sync-all";r=5'}
    assert {answer.status_code for answer in batch} == {200}


async def test_sync_all_has_a_limit_of_its_own(person: Person, new_person: NewPerson) -> None:
    """Six a minute for each user; other users, and syncs of single accounts, do not count."""
    answers = [await person.client.post("/accounts/sync-all", headers=ASYNC) for _ in range(7)]

    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert answers[0].headers["RateLimit"].startswith('"sync-all";r=5;t=')
    assert answers[-1].headers["RateLimit-Policy"] == '"sync-all";q=6;w=60'
    await (await new_person()).post("/accounts/sync-all")
    account = await person.connect("plain")
    assert (await person.post(f"/accounts/{account['id']}/sync"))["success"] is True


async def test_windows_that_are_over_are_forgotten(person: Person, database: Postgres) -> None:
    """The sweeper of a running gateway deletes them."""
    await used_up(database, person, "sync", 60)
    await run(database, "update rate_limits set ends_at = now() - interval '1 second'")

    async def swept() -> bool:
        return not await run(database, "select 1 from rate_limits where policy = 'sync'")

    await until(swept)


async def test_a_hundred_equal_requests_make_one_sync(person: Person, second_api: str) -> None:
    """With one Idempotency-Key, over two gateways, there is one sync and a hundred equal responses."""
    account = await person.connect("plain")
    path, key = f"/accounts/{account['id']}/sync", {"Idempotency-Key": str(uuid4())}
    async with httpx.AsyncClient(
        base_url=second_api, headers=person.client.headers, timeout=CALL_SECONDS, trust_env=False
    ) as second:
        clients = (person.client, second) * 50
        answers = await asyncio.gather(*(client.post(path, headers=key) for client in clients))

    assert {answer.status_code for answer in answers} == {HTTPStatus.OK}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["success"] is True
    assert len((await person.get(f"/accounts/{account['id']}/syncs"))["items"]) == 1
