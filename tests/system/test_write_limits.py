"""Every route that changes data has a limit: the test walks the OpenAPI document of a running gateway."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from gateway.limits import FREE_FAILURES
from tests.system.conftest import NewPerson
from tests.system.gateways import another_gateway
from tests.system.person import CALL_SECONDS, PASSWORD, Person
from tests.system.routes import Route, all_routes
from tests.system.test_sweeper import run

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
QUOTA = 3
SETTINGS = (
    "SYNC_LIMIT_PER_MINUTE",
    "SYNC_ALL_LIMIT_PER_MINUTE",
    "LOGIN_FAILURE_LIMIT_PER_MINUTE",
    "REGISTRATION_LIMIT_PER_MINUTE",
    "WRITE_LIMIT_PER_MINUTE",
    "REFRESH_LIMIT_PER_MINUTE",
    "PASSWORD_CHANGE_LIMIT_PER_MINUTE",
    "SIGN_IN_LIMIT_PER_MINUTE",
    "SUBMISSION_LIMIT_PER_MINUTE",
)
WRONG = "wrong horse battery"
LOGIN = "/api/v1/auth/login"


def body(route: Route) -> dict[str, str]:
    """Return a readable body, of another user each time; `{}` where the limit comes before the body."""
    if route.path.endswith("/refresh"):
        return {"refresh_token": "never issued"}
    if route.path.endswith(("/login", "/register")):
        return {"email": f"{uuid4()}@example.com", "password": PASSWORD}
    return {}


@asynccontextmanager
async def strict(stack: Stack, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a gateway that allows each policy three times a minute."""
    quotas = dict.fromkeys(SETTINGS, str(QUOTA))
    async with (
        another_gateway(stack, **quotas | settings) as address,
        httpx.AsyncClient(base_url=address, timeout=CALL_SECONDS, trust_env=False) as client,
    ):
        yield client


async def tokens_of(person: Person) -> dict[str, str]:
    """Sign in again, because the call before may have signed out."""
    login = {"email": person.email, "password": PASSWORD}
    answer = await person.client.post("/auth/login", json=login)
    return dict(answer.raise_for_status().json())


async def once(
    client: httpx.AsyncClient, by: tuple[Person, dict[str, str]], route: Route, password: str = PASSWORD
) -> httpx.Response:
    """Call an operation as a user with these tokens, or with the user's own."""
    person, tokens = by
    bodies = {
        "/refresh": {"refresh_token": tokens["refresh_token"]},
        "/login": {"email": person.email, "password": password},
        "/register": {"email": f"{uuid4()}@example.com", "password": PASSWORD},
    }
    sent = next((each for end, each in bodies.items() if route.path.endswith(end)), {})
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return await client.request(route.method, route.at(str(uuid4())), json=sent, headers=headers)


async def written(client: httpx.AsyncClient, person: Person, route: Route) -> httpx.Response:
    """Call an operation once, after signing in again if needed: the call before may have signed out."""
    headers = {}
    if route.operation.get("security") != [{}]:
        headers["Authorization"] = f"Bearer {(await tokens_of(person))['access_token']}"
    return await client.request(route.method, route.at(str(uuid4())), json=body(route), headers=headers)


async def test_every_write_answers_429_after_its_limit(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """Each operation that changes data documents 429, and returns it at the fourth request.

    A new route is covered as well: its limit is `write` unless it names another.
    """
    async with strict(stack) as client:
        writes = [route for route in await all_routes(person.client) if route.method in WRITES]
        for route in writes:
            await run(database, "update rate_limits set ends_at = now()")
            answers = [await written(client, person, route) for _ in range(QUOTA + 1)]

            assert [answer.status_code == 429 for answer in answers] == [False] * QUOTA + [True], route
            assert "429" in route.operation["responses"], route
            assert int(answers[-1].headers["Retry-After"]) >= 1
            if route.path != LOGIN:
                assert answers[-1].headers["RateLimit-Policy"].endswith(f";q={QUOTA};w=60")

    assert len(writes) >= 10


def is_of_its_user_alone(route: Route) -> bool:
    """Return whether a write has no limit for its address: logging in, refreshing, repairing."""
    return route.path.endswith(("/login", "/refresh", "/credentials"))


async def test_every_other_write_of_users_is_limited_per_address(
    stack: Stack, new_person: NewPerson, database: Postgres
) -> None:
    """Four users behind one address, each allowed three requests, are allowed three together.

    Each of them signs in, refreshes and repairs an account separately.
    """
    people = [await new_person() for _ in range(QUOTA + 1)]
    async with strict(stack, ADDRESS_LIMIT_FACTOR="1") as client:
        writes = [route for route in await all_routes(people[0].client) if route.method in WRITES]
        for route in writes:
            await run(database, "update rate_limits set ends_at = now()")
            await run(database, "delete from login_failures")
            tokens = [await tokens_of(each) for each in people]
            await run(database, "update rate_limits set ends_at = now()")

            answers = [await once(client, each, route) for each in zip(people, tokens, strict=True)]

            last = not is_of_its_user_alone(route)
            assert [answer.status_code == 429 for answer in answers] == [False] * QUOTA + [last], route
            if not last:
                shared = "select 1 from rate_limits where policy = 'write-address' and ends_at > now()"
                assert await run(database, shared) == [], route
                continue
            assert answers[-1].json()["code"] == "rate_limit_exceeded"
            assert "Your network address" in answers[-1].json()["detail"]

    assert len(writes) >= 10


async def test_every_write_is_limited_per_user_from_however_many_addresses(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """The fourth of one user is refused although each comes from another address."""
    async with strict(stack, ADDRESS_LIMIT_FACTOR="1000", TRUSTED_PROXIES="127.0.0.0/8") as client:
        writes = [route for route in await all_routes(person.client) if route.method in WRITES]
        for route in writes:
            if route.path.endswith("/register"):
                continue  # of no user yet
            await run(database, "update rate_limits set ends_at = now()")
            await run(database, "delete from login_failures")
            tokens, statuses = await tokens_of(person), []
            for number in range(FREE_FAILURES + 2):
                client.headers["X-Forwarded-For"] = f"198.51.100.{number}"
                answer = await once(client, (person, tokens), route, WRONG)
                statuses.append(answer.status_code)
                if route.path.endswith("/logout"):
                    tokens = await tokens_of(person)
                elif route.path.endswith("/refresh") and answer.is_success:
                    tokens = answer.json()

            assert 429 in statuses, route
            assert statuses[0] != 429, route


async def test_strangers_take_nothing_from_users_behind_the_same_address(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """When strangers have used up an address, a user there renames, refreshes and signs out as usual."""
    await run(database, "update rate_limits set ends_at = now()")
    async with strict(stack) as client:
        for path in ("/api/v1/auth/refresh", LOGIN):
            for _ in range(QUOTA + 1):
                stranger = await client.post(path, json=body(Route("POST", path, {})))
            assert stranger.status_code == 429

        refresh = {"refresh_token": person.tokens["refresh_token"]}
        assert (await client.post("/api/v1/auth/refresh", json=refresh)).status_code == 200
        headers = {"Authorization": person.client.headers["Authorization"]}
        assert (await client.post("/api/v1/auth/logout", headers=headers)).status_code == 204


async def test_one_user_with_many_logins_keeps_no_other_from_coming_in(
    stack: Stack, person: Person, new_person: NewPerson, database: Postgres
) -> None:
    """A user's many refreshes count for that user only, and the others at the address continue."""
    other = await new_person()
    tokens = [(await tokens_of(person))["refresh_token"] for _ in range(QUOTA + 1)]
    await run(database, "update rate_limits set ends_at = now()")
    async with strict(stack, ADDRESS_LIMIT_FACTOR="1") as client:
        statuses = [
            (await client.post("/api/v1/auth/refresh", json={"refresh_token": token})).status_code
            for token in tokens
        ]
        login = await client.post(LOGIN, json={"email": other.email, "password": PASSWORD})
        refresh = {"refresh_token": other.tokens["refresh_token"]}
        refreshed = await client.post("/api/v1/auth/refresh", json=refresh)
        headers = {"Authorization": other.client.headers["Authorization"]}
        written = await client.delete("/api/v1/me/sessions", headers=headers)

    assert statuses == [200] * QUOTA + [429]
    assert (login.status_code, refreshed.status_code, written.status_code) == (200, 200, 204)


async def test_users_who_use_an_address_up_keep_none_from_coming_in(
    stack: Stack, person: Person, new_person: NewPerson, database: Postgres
) -> None:
    """While the writes of all at the address are used up, logins and refreshes continue."""
    other = await new_person()
    await run(database, "update rate_limits set ends_at = now()")
    async with strict(stack, ADDRESS_LIMIT_FACTOR="1") as client:
        headers = {"Authorization": person.client.headers["Authorization"]}
        for _ in range(QUOTA):
            await client.delete(f"/api/v1/accounts/{uuid4()}", headers=headers)
        headers = {"Authorization": other.client.headers["Authorization"]}
        refused = await client.delete(f"/api/v1/accounts/{uuid4()}", headers=headers)
        login = await client.post(LOGIN, json={"email": other.email, "password": PASSWORD})
        refresh = {"refresh_token": other.tokens["refresh_token"]}
        refreshed = await client.post("/api/v1/auth/refresh", json=refresh)

    assert refused.headers["RateLimit-Policy"].startswith('"write-address"')
    assert (login.status_code, refreshed.status_code) == (200, 200)


async def test_a_refused_refresh_leaves_the_token_unused(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """A refused token is not used up: it is exchanged after the window."""
    await run(database, "update rate_limits set ends_at = now()")
    token = person.tokens["refresh_token"]
    async with strict(stack) as client:
        for status in [200] * QUOTA + [429]:
            answer = await client.post("/api/v1/auth/refresh", json={"refresh_token": token})
            assert answer.status_code == status
            token = answer.json().get("refresh_token", token)
        await run(database, "update rate_limits set ends_at = now()")

        again = await client.post("/api/v1/auth/refresh", json={"refresh_token": token})

    assert again.status_code == 200


@pytest.mark.parametrize("method", ["rename", "logout"])
async def test_answers_tell_what_is_left(person: Person, method: str) -> None:
    """Every successful response to a write carries the fields of its limit."""
    if method == "rename":
        account = await person.connect("plain")
        answer = await person.client.patch(f"/accounts/{account['id']}", json={"name": "mine"})
    else:
        answer = await person.client.post("/auth/logout")

    assert answer.is_success
    assert answer.headers["RateLimit-Policy"] == '"write";q=600;w=60'
    assert answer.headers["RateLimit"].startswith('"write";r=')
