"""Users change their own password and end their sessions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.system.changing import changing
from tests.system.person import CALL_SECONDS, PASSWORD, Person
from tests.system.test_sweeper import run
from tests.waiting import until

NEW_PASSWORD = "another horse battery"
CHANGE = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
WRONG = CHANGE | {"old_password": "wrong horse battery"}


class Device:
    """One more login of a user, with its own client."""

    def __init__(self, client: httpx.AsyncClient, tokens: dict[str, Any]) -> None:
        self.client, self.tokens = client, tokens
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    async def is_in(self) -> bool:
        """Return whether its access token or its refresh token is accepted."""
        me = await self.client.get("/me")
        renewed = await self.client.post(
            "/auth/refresh", json={"refresh_token": self.tokens["refresh_token"]}
        )
        assert me.is_success == renewed.is_success
        return me.is_success


@pytest_asyncio.fixture(name="device")
async def _device(stack: Stack, person: Person) -> AsyncIterator[Device]:
    """Yield a second login of the user."""
    login = {"email": person.email, "password": PASSWORD}
    async with httpx.AsyncClient(
        base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False
    ) as client:
        yield Device(client, (await client.post("/auth/login", json=login)).raise_for_status().json())


async def login(person: Person, password: str) -> int:
    """Try to sign in."""
    body = {"email": person.email, "password": password}
    return (await person.client.post("/auth/login", json=body)).status_code


async def actions(database: Postgres, *names: str) -> list[tuple[Any, ...]]:
    """Return the audited actions of some kinds."""
    return await run(
        database, "select action, detail from audit where action = any(%s) order by id", list(names)
    )


async def test_a_changed_password_ends_the_other_sessions(
    person: Person, device: Device, database: Postgres
) -> None:
    """The new password works, the old one does not; this session continues, and the audit records it."""
    await person.put("/me/password", CHANGE, 204)

    await person.get("/me")
    await person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]})
    assert not await device.is_in()
    assert (await login(person, PASSWORD), await login(person, NEW_PASSWORD)) == (401, 200)
    assert await actions(database, "password_changed") == [("password_changed", {"sessions_ended": 1})]


async def test_a_wrong_old_password_changes_nothing(
    person: Person, device: Device, database: Postgres
) -> None:
    """The response says that the user stays signed in, and every session stays valid."""
    problem = await person.put("/me/password", WRONG, 403)

    assert problem["code"] == "wrong_password"
    await person.get("/me")
    assert await device.is_in()
    assert (await login(person, PASSWORD), await login(person, NEW_PASSWORD)) == (200, 401)
    assert [action for action, _ in await actions(database, "password_refused", "password_changed")] == [
        "password_refused"
    ]


@pytest.mark.parametrize("way", ["password", "deletion"])
async def test_a_stolen_access_token_is_no_means_to_try_passwords(
    person: Person, database: Postgres, way: str
) -> None:
    """From the fifth wrong password the right one has to wait, too, however many are sent at once."""

    async def tries(password: str) -> httpx.Response:
        if way == "password":
            body = CHANGE | {"old_password": password}
            return await person.client.put("/me/password", json=body)
        return await person.client.post("/me/deletion", json={"password": password})

    async def unlimited() -> None:
        await run(database, "delete from rate_limits where policy = 'password'")

    assert [(await tries("wrong horse battery")).status_code for _ in range(5)] == [403] * 5
    await run(database, "update login_failures set failures = 8, blocked_until = now()")
    await unlimited()

    answers = await asyncio.gather(*(tries("wrong horse battery") for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [403] + [429] * 4
    await unlimited()
    refused = await tries(PASSWORD)
    assert (refused.status_code, refused.json()["code"]) == (429, "login_throttled")
    assert int(refused.headers["Retry-After"]) > 1
    await person.get("/me")


async def test_strangers_keep_no_user_from_changing_the_password(person: Person) -> None:
    """Failed logins of an address are counted apart from those of its signed-in user."""
    for _ in range(6):
        await login(person, "wrong horse battery")

    await person.put("/me/password", CHANGE, 204)


async def test_of_two_changes_at_once_one_counts(person: Person) -> None:
    """Both knew the old password; the second is told that it is wrong now."""
    changes = [CHANGE, CHANGE | {"new_password": "third horse battery"}]

    answers = await asyncio.gather(*(person.client.put("/me/password", json=each) for each in changes))

    assert sorted(answer.status_code for answer in answers) == [204, 403]
    works = [await login(person, str(each["new_password"])) == 200 for each in changes]
    assert works == [answer.status_code == 204 for answer in answers]


async def test_a_login_with_the_old_password_does_not_outlive_its_change(
    person: Person, database: Postgres
) -> None:
    """A login with the old password, changed before its session began, gets no session."""
    sessions = await run(database, "select count(*) from refresh_families")
    async with changing(database, "update users set password_hash = 'another hash'") as change:
        signing_in = asyncio.create_task(login(person, PASSWORD))
        await until(change.keeps_waiting)

    assert await signing_in == 401
    assert await run(database, "select count(*) from refresh_families") == sessions


async def test_the_sessions_are_listed(person: Person, device: Device) -> None:
    """Each login is listed once, with its origin and last use; this one is first."""
    mine = await person.get("/me/sessions")
    others = (await device.client.get("/me/sessions")).raise_for_status().json()

    assert [each["current"] for each in mine] == [True, False]
    assert [each["id"] for each in others] == [each["id"] for each in reversed(mine)]
    assert {each["network"] for each in mine} == {"127.0.0.1"}
    assert all(each["created_at"] <= each["last_used_at"] < each["expires_at"] for each in mine)
    await device.is_in()
    later = (await person.get("/me/sessions"))[1]
    assert later["last_used_at"] > mine[1]["last_used_at"]
    assert later | {"last_used_at": ""} == mine[1] | {"last_used_at": ""}


async def test_an_ended_session_opens_nothing_at_the_next_request(
    person: Person, device: Device, second_api: str, database: Postgres
) -> None:
    """Every gateway checks the session at every request, so all its tokens end at once."""
    (theirs,) = [each["id"] for each in await person.get("/me/sessions") if not each["current"]]

    assert (await person.client.delete(f"/me/sessions/{theirs}")).status_code == 204

    headers = {"Authorization": device.client.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=second_api, headers=headers, trust_env=False) as second:
        assert (await second.get("/me")).status_code == 401
    assert not await device.is_in()
    await person.get("/me")
    assert [each["current"] for each in await person.get("/me/sessions")] == [True]
    assert (await person.client.delete(f"/me/sessions/{theirs}")).status_code == 404
    assert await actions(database, "session_ended") == [("session_ended", {})]


async def test_all_other_sessions_end_together(person: Person, device: Device, database: Postgres) -> None:
    """This session continues."""
    await login(person, PASSWORD)

    assert (await person.client.delete("/me/sessions")).status_code == 204

    assert not await device.is_in()
    assert [each["current"] for each in await person.get("/me/sessions")] == [True]
    assert await actions(database, "other_sessions_ended") == [
        ("other_sessions_ended", {"sessions_ended": 2})
    ]


async def test_the_own_session_can_be_ended_as_any_other(person: Person) -> None:
    """Ending this session signs out."""
    (mine,) = await person.get("/me/sessions")

    assert (await person.client.delete(f"/me/sessions/{mine['id']}")).status_code == 204

    await person.get("/me", 401)


async def test_a_session_without_a_network_is_listed(
    person: Person, device: Device, database: Postgres
) -> None:
    """A gateway of the previous version recorded no network."""
    await run(database, "delete from session_networks")

    assert [each["network"] for each in await person.get("/me/sessions")] == [None, None]


async def test_the_new_password_is_not_the_old_one(person: Person) -> None:
    """A change to the same password is refused, because it would only seem to help."""
    problem = await person.put("/me/password", CHANGE | {"new_password": PASSWORD}, 400)

    assert problem["code"] == "invalid_input"


@pytest.mark.parametrize("password", ["short", "x" * 129])
async def test_a_new_password_has_8_to_128_characters(person: Person, password: str) -> None:
    """The rule of the registration applies to a change."""
    problem = await person.put("/me/password", CHANGE | {"new_password": password}, 400)

    assert "8 to 128" in problem["detail"]


async def test_another_users_session_is_not_there(person: Person) -> None:
    """A session id of another user gets the response of an unknown one."""
    problem = (await person.client.delete(f"/me/sessions/{uuid4()}")).json()

    assert (problem["status"], problem["code"]) == (404, "not_found")
