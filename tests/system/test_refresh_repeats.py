"""Two tabs that refresh at once, or a lost response, do not end a login; a late reuse by an attacker does."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.local.postgres import Postgres
from tests.system.person import CALL_SECONDS, PASSWORD, Person
from tests.system.test_sweeper import run

NEW_PASSWORD = "another horse battery"


@pytest_asyncio.fixture(name="second")
async def _second(second_api: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of another gateway."""
    async with httpx.AsyncClient(base_url=second_api, timeout=CALL_SECONDS, trust_env=False) as client:
        yield client


async def refreshed(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Exchange a refresh token."""
    return await client.post("/auth/refresh", json={"refresh_token": token})


async def used_ago(database: Postgres, seconds: float) -> None:
    """Move the use of the used tokens into the past, by the database's clock."""
    await run(
        database,
        "update refresh_tokens set used_at = now() - make_interval(secs => %s) where used_at is not null",
        seconds,
    )


async def opens(person: Person, access_token: str) -> bool:
    """Return whether an access token is accepted."""
    headers = {"Authorization": f"Bearer {access_token}"}
    return (await person.client.get("/me", headers=headers)).is_success


async def test_all_gateways_give_the_same_successor(person: Person, second: httpx.AsyncClient) -> None:
    """Twenty uses at once, at two gateways, get one refresh token, and access tokens that all work."""
    token = person.tokens["refresh_token"]

    answers = await asyncio.gather(*(refreshed((person.client, second)[n % 2], token) for n in range(20)))

    tokens = [answer.raise_for_status().json() for answer in answers]
    assert len({each["refresh_token"] for each in tokens}) == 1
    assert all([await opens(person, each["access_token"]) for each in tokens])
    following = await asyncio.gather(
        *(refreshed(client, tokens[0]["refresh_token"]) for client in (person.client, second))
    )
    assert len({answer.raise_for_status().json()["refresh_token"] for answer in following}) == 1


async def test_a_lost_answer_is_given_again_for_20_seconds(person: Person, database: Postgres) -> None:
    """By the database's clock; each repeat gets the same working successor."""
    token = person.tokens["refresh_token"]
    first = (await refreshed(person.client, token)).raise_for_status().json()
    await used_ago(database, 15)

    again = [(await refreshed(person.client, token)).raise_for_status().json() for _ in range(3)]

    assert {each["refresh_token"] for each in again} == {first["refresh_token"]}
    assert (await refreshed(person.client, first["refresh_token"])).is_success


async def test_a_later_repeat_ends_the_login_and_says_so(person: Person, database: Postgres) -> None:
    """After 20 seconds the problem says what happened and what to do, and the audit records it."""
    token = person.tokens["refresh_token"]
    renewed = (await refreshed(person.client, token)).json()
    await used_ago(database, 20)

    answer = await refreshed(person.client, token)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (401, "refresh_token_reused")
    for words in ("was used before", "has ended", "sign in again", "change your password"):
        assert words in problem["detail"]
    assert not await opens(person, renewed["access_token"])
    assert (await refreshed(person.client, renewed["refresh_token"])).status_code == 401
    audited = await run(
        database,
        """select audit.address, audit.detail
           from audit join refresh_families family on family.id = audit.subject
           where action = 'refresh_reused' and audit.user_id = family.user_id""",
    )
    assert audited == [("127.0.0.1", {"ended": "the login, with all of its tokens"})]


async def test_a_successor_that_was_used_makes_a_repeat_a_reuse(person: Person) -> None:
    """Only the last token may be repeated; once its successor was used, it is an older one."""
    token = person.tokens["refresh_token"]
    second = (await refreshed(person.client, token)).json()["refresh_token"]
    third = (await refreshed(person.client, second)).json()["refresh_token"]
    assert (await refreshed(person.client, second)).json()["refresh_token"] == third

    assert (await refreshed(person.client, token)).json()["code"] == "refresh_token_reused"
    assert (await refreshed(person.client, third)).status_code == 401


@pytest.mark.parametrize("ending", ["logout", "password", "session", "deletion"])
async def test_a_login_that_ended_gets_nothing(person: Person, ending: str) -> None:
    """However a login ended, neither its last token nor the one before is exchanged, also within 20 s."""
    token = person.tokens["refresh_token"]
    renewed = (await refreshed(person.client, token)).json()
    login = {"email": person.email, "password": PASSWORD}
    other = (await person.client.post("/auth/login", json=login)).raise_for_status().json()
    headers = {"Authorization": f"Bearer {other['access_token']}"}
    if ending == "logout":
        await person.post("/auth/logout", None, 204)
    elif ending == "password":
        change = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
        assert (await person.client.put("/me/password", json=change, headers=headers)).status_code == 204
    elif ending == "session":
        assert (await person.client.delete("/me/sessions", headers=headers)).status_code == 204
    else:
        deleted = await person.client.post("/me/deletion", json={"password": PASSWORD}, headers=headers)
        assert deleted.status_code == 204

    for each in (token, renewed["refresh_token"]):
        answer = await refreshed(person.client, each)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_successor_made_with_another_key_is_no_repeat(person: Person, database: Postgres) -> None:
    """When a gateway with another key, or an older gateway, made the successor, a repeat ends the login."""
    token = person.tokens["refresh_token"]
    renewed = (await refreshed(person.client, token)).json()
    await run(
        database,
        "update refresh_tokens set hash = sha256(%s::bytea) where used_at is null",
        str(uuid4()),
    )

    assert (await refreshed(person.client, token)).json()["code"] == "refresh_token_reused"
    assert not await opens(person, renewed["access_token"])


async def test_no_refresh_token_stands_in_the_database(person: Person, database: Postgres) -> None:
    """The database stores only hashes of a token and its successor."""
    token = person.tokens["refresh_token"]
    renewed = (await refreshed(person.client, token)).json()
    tables = await run(database, "select tablename from pg_tables where schemaname = 'public'")

    stored = [await run(database, f"select t::text from {name} t") for (name,) in tables]  # noqa: S608 - own text

    assert token not in str(stored)
    assert renewed["refresh_token"] not in str(stored)
    assert str(person.email) in str(stored), "the search finds what is there"
