"""Guessing passwords gets slower with every failure, and reveals nothing and locks no user out."""

import asyncio
import time
from uuid import uuid4

import httpx
import pytest

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.system.person import PASSWORD, Person
from tests.system.test_sweeper import run
from tests.waiting import until

WRONG = "wrong horse battery"


def unknown() -> str:
    """Return an unregistered address."""
    return f"{uuid4()}@example.com"


async def login(client: httpx.AsyncClient, email: str, password: str = WRONG) -> httpx.Response:
    """Try to sign in."""
    return await client.post("/auth/login", json={"email": email, "password": password})


async def failed(database: Postgres, person: Person, email: str, failures: int) -> None:
    """Record some failed logins in a row, with the delay over."""
    await login(person.client, email)
    await run(
        database,
        """update login_failures set failures = %s, blocked_until = now()
           where email_hash = sha256(%s::bytea)""",
        failures,
        email,
    )


async def moved(database: Postgres, person: Person) -> None:
    """Let the user have signed in from another network only."""
    await run(database, "delete from known_networks where user_id = %s", (await person.get("/me"))["id"])


async def test_after_five_failures_the_right_password_has_to_wait(person: Person) -> None:
    """The gateway does not check passwords during the delay; after it the right one resets the count."""
    assert [(await login(person.client, person.email)).status_code for _ in range(5)] == [401] * 5

    refused = await login(person.client, person.email, PASSWORD)

    assert (refused.status_code, refused.json()["code"]) == (429, "login_throttled")
    assert refused.headers["Retry-After"] == "1"

    async def opened() -> bool:
        return (await login(person.client, person.email, PASSWORD)).is_success

    await until(opened)
    assert [(await login(person.client, person.email)).status_code for _ in range(5)] == [401] * 5


async def test_gateways_count_failures_together(person: Person, second_api: str, database: Postgres) -> None:
    """Another replica gives an attacker no further guesses."""
    await failed(database, person, person.email, 8)
    await moved(database, person)
    async with httpx.AsyncClient(base_url=second_api, trust_env=False) as second:
        assert (await login(person.client, person.email)).status_code == 401

        assert (await login(second, person.email, PASSWORD)).status_code == 429


async def test_parallel_guesses_are_no_more_than_one(person: Person, database: Postgres) -> None:
    """Of thirty simultaneous guesses, after so many that each delays the next, one password is checked."""
    await failed(database, person, person.email, 8)

    answers = await asyncio.gather(*(login(person.client, person.email) for _ in range(30)))

    assert sorted(answer.status_code for answer in answers) == [401] + [429] * 29


@pytest.mark.parametrize("failures", [3, 8, 9, 20])
async def test_throttling_does_not_tell_who_is_registered(
    person: Person, database: Postgres, failures: int
) -> None:
    """Known and unknown addresses get equal bytes for the failure and for the following refusal."""
    seen = []
    for email in (person.email, unknown()):
        await failed(database, person, email, failures)
        answers = [await login(person.client, email) for _ in range(2)]
        seen.append([(answer.status_code, answer.content, fields(answer)) for answer in answers])

    assert seen[0] == seen[1]
    assert [status for status, *_ in seen[0]] == [401, 429 if failures > 3 else 401]


def fields(answer: httpx.Response) -> dict[str, str]:
    """Return the header fields of a response without its date; a delay may lose a second on the way."""
    kept = {name: value for name, value in answer.headers.items() if name != "date"}
    if "retry-after" in kept:
        kept["retry-after"] = str(round(int(kept["retry-after"]) / 5))
    return kept


async def test_a_login_takes_as_long_for_an_unknown_address(person: Person) -> None:
    """The quickest of some failures takes about the same time, because a password is always checked."""

    async def seconds(email: str) -> float:
        began = time.monotonic()
        assert (await login(person.client, email)).status_code == 401
        return time.monotonic() - began

    known = min([await seconds(person.email) for _ in range(4)])
    strange = min([await seconds(unknown()) for _ in range(4)])

    assert 0.5 < known / strange < 2


async def test_a_session_goes_on_while_its_user_is_throttled(person: Person) -> None:
    """An attacker who knows an address cannot sign its owner out: tokens work and can be refreshed."""
    for _ in range(6):
        await login(person.client, person.email)

    await person.get("/me")
    renewed = await person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]})
    assert renewed["access_token"]


async def test_nobody_is_kept_out_for_more_than_15_minutes(person: Person, database: Postgres) -> None:
    """After any number of failures the response names at most 15 minutes."""
    await failed(database, person, person.email, 1_000_000)
    await moved(database, person)
    assert (await login(person.client, person.email)).status_code == 401

    refused = await login(person.client, person.email, PASSWORD)

    assert 890 < int(refused.headers["Retry-After"]) <= 900


async def test_one_address_has_twenty_failures_a_minute(person: Person, database: Postgres) -> None:
    """Trying many users from one address ends after 20, also for unknown users; a minute later it works."""
    await moved(database, person)
    answers = [await login(person.client, unknown()) for _ in range(21)]

    assert [answer.status_code for answer in answers] == [401] * 20 + [429]
    refused = await login(person.client, person.email, PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (429, "login_throttled")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    await person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]})
    await run(database, "update rate_limits set ends_at = now()")
    assert (await login(person.client, person.email, PASSWORD)).is_success


async def test_logins_that_succeed_are_not_limited(person: Person) -> None:
    """A program may sign in as often as it likes."""
    answers = [await login(person.client, person.email, PASSWORD) for _ in range(25)]

    assert {answer.status_code for answer in answers} == {200}


async def test_a_gateway_that_is_too_busy_counts_nothing(person: Person, database: Postgres) -> None:
    """The gateway counts only checked passwords as failures; the others may be retried at once."""
    answers = await asyncio.gather(*(login(person.client, unknown()) for _ in range(100)))

    statuses = [answer.status_code for answer in answers]
    ((failures,),) = await run(database, "select sum(failures) from login_failures")
    assert {401, 503} <= set(statuses)
    assert failures == statuses.count(401)


async def test_one_address_may_register_so_often_a_minute(stack: Stack, second_api: str) -> None:
    """All gateways together count registrations per client address."""
    async with (
        httpx.AsyncClient(base_url=second_api, trust_env=False) as limited,
        httpx.AsyncClient(base_url=f"{stack.api}/api/v1", trust_env=False) as first,
    ):
        body = [{"email": unknown(), "password": PASSWORD} for _ in range(6)]
        clients = (first, limited, first, limited)
        made = [await each.post("/auth/register", json=body.pop()) for each in clients]
        refused = await limited.post("/auth/register", json=body.pop())

    assert [answer.status_code for answer in made] == [201] * 4
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limit_exceeded")
    assert refused.headers["RateLimit-Policy"] == '"register";q=4;w=60'
