"""Bad input gives a documented problem and changes nothing."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest_asyncio
from psycopg import sql

from deploy.local.postgres import SUPERUSER, Postgres
from tests.system.person import PASSWORD, Person, credentials
from tests.system.routes import Route, all_routes
from tests.system.spoiling import BAD_CURSORS, BAD_IDS, BAD_KEYS, BAD_LIMITS, Spoiled, spoiled
from tests.waiting import until

# A wrong token or password gets its usual status, because the gateway cannot tell it from bad input.
GUESSES = {
    ("/api/v1/auth/refresh", "refresh_token is '\\x00'"): 401,
    ("/api/v1/auth/login", "password is '\\x00'"): 401,
    ("/api/v1/me/password", "old_password is '\\x00'"): 403,
    ("/api/v1/me/deletion", "password is '\\x00'"): 403,
}


class Victim:
    """A user whose account and syncs must survive every bad request, and the contents of the database."""

    def __init__(
        self,
        person: Person,
        account: dict[str, Any],
        routes: list[Route],
        database: psycopg.AsyncConnection[Any],
    ) -> None:
        self.person, self.account, self.routes = person, account, routes
        self._database = database

    def good(self, route: Route) -> dict[str, Any]:
        """Return a body that the route accepts."""
        bodies: dict[str, dict[str, Any]] = {
            "register": {"email": "another@example.com", "password": PASSWORD},
            "login": {"email": self.person.email, "password": PASSWORD},
            "refresh": {"refresh_token": self.person.tokens["refresh_token"]},
            "accounts": {
                "exchange": "okx",
                "name": "x",
                "region": "global",
                "credentials": credentials("empty"),
            },
            "me": {"time_zone": "Asia/Tokyo"},
            "{account_id}": {"name": "Another"},
            "credentials": {"credentials": credentials("plain"), "region": "global"},
            "password": {"old_password": PASSWORD, "new_password": "another horse battery"},
            "deletion": {"password": PASSWORD},
            "key-offers": {"exchange": "okx", "region": "global"},
            "manual": {"value_usd": "0.25"},
        }
        return bodies[route.path.rpartition("/")[2]]

    async def send(self, route: Route, identifier: str | None = None, **request: Any) -> httpx.Response:
        """Call a route, for the user's own account by default."""
        url = route.at(identifier or str(self.account["id"])).removeprefix("/api/v1")
        await self._database.execute("delete from rate_limits")
        return await self.person.client.request(route.method, url, **request)

    async def state(self) -> list[Any]:
        """Return a digest of every table except the counters; failed logins are recorded."""
        listed = await self._database.execute(
            """select tablename::text from pg_tables where schemaname = 'public'
               and tablename not in ('login_failures', 'rate_limits') order by 1"""
        )
        digests = []
        for (table,) in await listed.fetchall():
            kept = sql.SQL(
                "action not in ('login_failed', 'password_refused')" if table == "audit" else "true"
            )
            query = "select {}, md5(string_agg(t::text, '|' order by t::text)) from {} t where {}"
            found = await self._database.execute(
                sql.SQL(query).format(sql.Literal(table), sql.Identifier(table), kept)
            )
            digests.append(await found.fetchone())
        return digests


@pytest_asyncio.fixture(name="victim")
async def _victim(person: Person, database: Postgres) -> AsyncIterator[Victim]:
    account = await person.connect("plain")
    await person.post("/accounts/sync-all")
    async with await database.connect(SUPERUSER) as connection:

        async def calm() -> bool:
            left = await (await connection.execute("select count(*) from outbox")).fetchone()
            return left == (0,)

        await until(calm)
        yield Victim(person, account, await all_routes(person.client), connection)


def off(answer: httpx.Response, route: Route, *expected: int) -> str | None:
    """Return the fault of a response to bad input; None for a documented problem."""
    if answer.status_code not in expected or str(answer.status_code) not in route.operation["responses"]:
        return f"{answer.status_code}: {answer.text[:200]}"
    if answer.headers.get("content-type") != "application/problem+json":
        return f"{answer.headers}"
    problem = answer.json()
    said = (
        problem["status"] == answer.status_code and problem["code"] and problem["detail"] and problem["title"]
    )
    return None if said and problem["type"].endswith(problem["code"]) else answer.text


def expected(route: Route, bad: Spoiled) -> int:
    """Return the expected status of a spoiled body."""
    if len(bad.content) > 64 * 1024:
        return 413
    if bad.content_type != "application/json":
        return 415
    return GUESSES.get((route.path, bad.wrong), 400)


async def test_a_bad_body_changes_nothing(victim: Victim) -> None:
    """Every route refuses wrong, missing, unknown and huge fields, other formats and broken text."""
    before, wrong = await victim.state(), {}
    routes = [route for route in victim.routes if "requestBody" in route.operation]
    for route in routes:
        for bad in spoiled(victim.good(route), ("region",) if route.method == "PUT" else ()):
            headers = {"Content-Type": bad.content_type} if bad.content_type else {}
            answer = await victim.send(route, content=bad.content, headers=headers)
            wrong[f"{route}: {bad.wrong}"] = off(answer, route, expected(route, bad))

    assert {name: answer for name, answer in wrong.items() if answer} == {}
    assert (len(routes), len(wrong) > 200) == (11, True)
    assert await victim.state() == before


async def test_a_bad_id_finds_nothing(victim: Victim) -> None:
    """A malformed or unknown id gets the same response as any address that does not exist."""
    before, wrong = await victim.state(), {}
    for route in victim.routes:
        for identifier in (*BAD_IDS, str(uuid4())) if route.parameter not in {None, "asset"} else ():
            body = {"json": victim.good(route)} if "requestBody" in route.operation else {}
            answer = await victim.send(route, identifier, **body)
            wrong[f"{route}: {identifier[:40]}"] = off(answer, route, 404)

    assert {name: answer for name, answer in wrong.items() if answer} == {}
    assert await victim.state() == before


async def test_a_bad_page_is_none(victim: Victim) -> None:
    """The gateway refuses invalid limits and cursors."""
    (route,) = [route for route in victim.routes if str(route).endswith("/syncs")]
    before, wrong = await victim.state(), {}
    for name, values in (("limit", BAD_LIMITS), ("cursor", BAD_CURSORS)):
        for value in values:
            wrong[f"{name}={value}"] = off(await victim.send(route, params={name: value}), route, 400)
    for name, value in (("limit", "20"), ("cursor", str(victim.account["id"]))):
        answer = await victim.send(route, params=[(name, value), (name, value)])
        wrong[f"{name}={value} twice"] = off(answer, route, 400)

    assert {name: answer for name, answer in wrong.items() if answer} == {}
    assert await victim.state() == before


async def test_a_bad_idempotency_key_requests_nothing(victim: Victim) -> None:
    """The gateway refuses an idempotency key that it can not store, before it requests a sync."""
    before, wrong = await victim.state(), {}
    for route in victim.routes:
        if route.path.endswith(("/sync", "/sync-all")):
            for key in BAD_KEYS:
                answer = await victim.send(route, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
                wrong[f"{route}: {key[:20]!r}"] = off(answer, route, 400)
            answer = await victim.send(
                route, headers=[(b"Idempotency-Key", b"1"), (b"Idempotency-Key", b"2")]
            )
            wrong[f"{route}: two keys"] = off(answer, route, 400)

    assert {name: answer for name, answer in wrong.items() if answer} == {}
    assert (len(wrong), await victim.state()) == (2 * len(BAD_KEYS) + 2, before)
