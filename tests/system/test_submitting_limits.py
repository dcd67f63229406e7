"""Submissions of keys are limited first: an attacker learns little, and the vault gets few requests."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from uuid import uuid4

import httpx

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.system.conftest import NewPerson
from tests.system.gateways import another_gateway
from tests.system.person import CALL_SECONDS, Person, credentials
from tests.system.test_sweeper import run

MINUTE = {"SUBMISSION_LIMIT_PER_MINUTE": "6", "SUBMISSION_LIMIT_PER_DAY": "30"}
WRONG = "0" * 32


def submission(name: str = "plain", **changed: str) -> dict[str, object]:
    """Return a submission of a simulated account."""
    given = credentials(name) | changed
    return {"exchange": "okx", "name": name, "region": "global", "credentials": given}


def signed_in(address: str, person: Person) -> httpx.AsyncClient:
    """Return a client of another gateway with a user's token."""
    return httpx.AsyncClient(
        base_url=f"{address}/api/v1",
        headers={"Authorization": person.client.headers["Authorization"]},
        timeout=CALL_SECONDS,
        trust_env=False,
    )


async def submitted(database: Postgres) -> int:
    """Count the credentials that were about to be stored in the vault."""
    ((count,),) = await run(database, "select count(*) from audit where action = 'credential_submitted'")
    assert isinstance(count, int)
    return count


async def test_the_seventh_key_in_a_minute_is_refused_before_the_vault_hears_of_it(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """Connecting and replacing count together, right keys and wrong ones; 429 names the time to retry."""
    async with another_gateway(stack, **MINUTE) as address, signed_in(address, person) as client:
        connected = await client.post("/accounts", json=submission())
        path = f"/accounts/{connected.json()['id']}/credentials"
        replaced = [
            await client.put(path, json={"credentials": credentials("plain", api_secret=WRONG)})
            for _ in range(3)
        ]
        refused = [await client.post("/accounts", json=submission(api_secret=WRONG)) for _ in range(2)]
        before = await submitted(database)
        beyond = [
            await client.post("/accounts", json=submission()),
            await client.put(path, json={"credentials": credentials("plain")}),
        ]

    assert connected.status_code == 201
    assert 429 not in {answer.status_code for answer in [*replaced, *refused]}
    assert connected.headers["RateLimit-Policy"] == '"submit";q=6;w=60, "submit-daily";q=30;w=86400'
    for answer in beyond:
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limit_exceeded")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert await submitted(database) == before == 6


async def test_parallel_submissions_count_each(
    stack: Stack, person: Person, new_person: NewPerson, database: Postgres
) -> None:
    """Of thirty at once at most six reach the vault, and another user's limit is unchanged."""
    other = await new_person()
    async with (
        another_gateway(stack, **MINUTE) as address,
        signed_in(address, person) as client,
        signed_in(address, other) as second,
    ):
        answers, another = await asyncio.gather(
            asyncio.gather(*(client.post("/accounts", json=submission(api_secret=WRONG)) for _ in range(30))),
            second.post("/accounts", json=submission("margin", api_secret=WRONG)),
        )

    assert another.status_code != 429
    statuses = Counter((answer.status_code, answer.json()["code"]) for answer in answers)
    assert statuses[429, "rate_limit_exceeded"] + statuses[503, "overloaded"] >= 24
    assert await submitted(database) <= 6 + 1


async def test_one_address_submits_no_more_keys_for_having_many_users(
    stack: Stack, new_person: NewPerson, database: Postgres
) -> None:
    """An attacker who registers users from one address can try at most four times six keys there."""
    people = [await new_person() for _ in range(5)]
    await run(database, "update rate_limits set ends_at = now()")
    async with (
        another_gateway(stack, **MINUTE, ADDRESS_LIMIT_FACTOR="2") as address,
        AsyncExitStack() as open_,
    ):
        clients = [await open_.enter_async_context(signed_in(address, person)) for person in people]
        answers = [
            await client.post("/accounts", json=submission(api_secret=WRONG))
            for client in clients
            for _ in range(4)
        ]

    counted = [answer.status_code != 429 for answer in answers]
    assert counted == [True] * 12 + [False] * 8
    assert answers[-1].headers["RateLimit-Policy"] == '"submit-address";q=12;w=60'
    assert "Your network address" in answers[-1].json()["detail"]
    assert await submitted(database) == 12


async def test_others_at_an_address_keep_no_user_from_connecting_for_a_day_nor_from_a_repair(
    stack: Stack, person: Person, new_person: NewPerson, database: Postgres
) -> None:
    """A repair is never refused because of others at the address, and connecting only for a minute."""
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}/credentials"
    other = await new_person()
    few = {"SUBMISSION_LIMIT_PER_MINUTE": "3", "SUBMISSION_LIMIT_PER_DAY": "3", "WRITE_LIMIT_PER_MINUTE": "6"}
    await run(database, "update rate_limits set ends_at = now()")
    async with (
        another_gateway(stack, **few, ADDRESS_LIMIT_FACTOR="1") as address,
        signed_in(address, person) as client,
        signed_in(address, other) as crowd,
    ):
        for _ in range(3):
            await crowd.post("/accounts", json=submission(api_secret=WRONG))
        kept_out = await client.post("/accounts", json=submission("margin"))
        for _ in range(6):
            await crowd.delete(f"/accounts/{uuid4()}")
        repaired = await client.put(path, json={"credentials": credentials("plain")})
        await run(database, "update rate_limits set ends_at = now() where policy not like '%%daily%%'")
        connected = await client.post("/accounts", json=submission("margin"))

    assert kept_out.headers["RateLimit-Policy"] == '"submit-address";q=3;w=60'
    assert (repaired.status_code, connected.status_code) == (200, 201)


async def test_thirty_keys_a_day(stack: Stack, person: Person, database: Postgres) -> None:
    """The thirty-first of a day is refused, however slowly they come, with the time until the day is over."""
    user = (await person.get("/me"))["id"]
    await run(
        database,
        "insert into rate_limits values ('submit-daily', %s, 30, now() + interval '10 hours')",
        user,
    )
    async with another_gateway(stack, **MINUTE) as address, signed_in(address, person) as client:
        refused = await client.post("/accounts", json=submission())

    assert refused.status_code == 429
    assert "30 of these requests a day" in refused.json()["detail"]
    assert 9 * 3600 < int(refused.headers["Retry-After"]) <= 10 * 3600
    assert await run(database, "select 1 from rate_limits where policy = 'submit'") == []
    assert await submitted(database) == 0


async def test_the_hundred_and_first_account_is_refused_first(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """A user with a hundred accounts is refused before the key is stored, and the refusal is not counted."""
    account = await person.connect("plain")
    await run(database, "delete from rate_limits")
    before = await submitted(database)
    await run(
        database,
        """insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid,
                                 permissions, ip_bound, api_key_hint)
           select gen_random_uuid(), user_id, exchange, region, name, credential_id, 'uid-' || n, master_uid,
                  permissions, ip_bound, api_key_hint
           from accounts, generate_series(1, 99) as n where id = %s""",
        account["id"],
    )

    problem = await person.connect("margin", 409)

    assert problem["code"] == "too_many_accounts"
    assert await submitted(database) == before
    assert await run(database, "select 1 from rate_limits where policy like 'submit%%'") == []


async def test_what_runs_at_once_is_bounded_and_no_stranger_has_it_all(
    stack: Stack, person: Person, new_person: NewPerson
) -> None:
    """With eight slots a user holds two; further requests are told to retry, while other users are served."""
    other = await new_person()
    settings = {"SUBMISSIONS_AT_ONCE": "8", "SUBMISSION_LIMIT_PER_MINUTE": "1000"}
    async with (
        another_gateway(stack, **settings) as address,
        signed_in(address, person) as client,
        signed_in(address, other) as second,
    ):
        crowd = [client.post("/accounts", json=submission(api_secret=WRONG)) for _ in range(40)]
        answers, another = await asyncio.gather(
            asyncio.gather(*crowd), second.put(f"/accounts/{uuid4()}/credentials", json={"credentials": {}})
        )
        own = await second.post("/accounts", json=submission("margin", api_secret=WRONG))

    overloaded = [answer for answer in answers if answer.json()["code"] == "overloaded"]
    assert overloaded
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in overloaded} == {(503, "1")}
    assert another.status_code == 404  # its fields are those of an exchange that is not known
    assert own.json()["code"] != "overloaded"


async def test_who_can_not_wait_hears_where_the_outcome_will_be(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """With four slots a user waits for one sync at a time; the others are accepted with 202."""
    accounts = [(await person.connect(name))["id"] for name in ("plain", "margin", "sub-account")]
    await run(database, "update rate_limits set ends_at = now()")
    async with another_gateway(stack, WAITS_AT_ONCE="4") as address, signed_in(address, person) as client:
        answers = await asyncio.gather(*(client.post(f"/accounts/{each}/sync") for each in accounts))

        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[0] == 200
        assert set(statuses[1:]) <= {200, 202}
        assert 202 in statuses
        for answer in answers:
            assert answer.status_code == 200 or answer.headers["Location"].startswith("/api/v1/syncs/")
