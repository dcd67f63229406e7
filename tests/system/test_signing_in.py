"""Tokens: which are accepted, and for how long."""

import re
from uuid import uuid4

import httpx
import pytest

from deploy.local.stack import Stack
from tests.system.person import PASSWORD, Person

pytestmark = pytest.mark.cluster

UNREADABLE = [b"", b"{", b"[" * 30_000, b'{"email": "\xff"}', rb'"\ud800"', b"null"]
NO_ADDRESSES = ["", "a", "a@", "@b", "a b@c", "\u1c89@example.com", "a@b\x00", "a@" + "b" * 191]
PUBLIC = ("/register", "/login", "/refresh", "/exchanges")


async def test_without_a_token_there_is_only_the_way_in(stack: Stack) -> None:
    """Every route of a user returns 401 without a valid access token."""
    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as client:
        document = (await client.get("/openapi.json")).json()
        for path, routes in document["paths"].items():
            for method in routes:
                answer = await client.request(method, re.sub(r"{\w+}", str(uuid4()), path))
                if not path.endswith(PUBLIC):
                    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), path


async def test_an_older_refresh_token_ends_the_login(person: Person) -> None:
    """Tokens rotate; reusing one before the last ends the whole login, including access tokens."""
    first = person.tokens["refresh_token"]
    second = await person.post("/auth/refresh", {"refresh_token": first})
    third = await person.post("/auth/refresh", {"refresh_token": second["refresh_token"]})
    assert len({first, second["refresh_token"], third["refresh_token"]}) == 3
    person.client.headers["Authorization"] = f"Bearer {third['access_token']}"
    await person.get("/me")

    problem = await person.post("/auth/refresh", {"refresh_token": first}, 401)

    assert problem["code"] == "refresh_token_reused"
    await person.post("/auth/refresh", {"refresh_token": third["refresh_token"]}, 401)
    await person.get("/me", 401)


async def test_signing_out_ends_the_tokens(person: Person) -> None:
    """After logout neither the access token nor the refresh token is accepted."""
    assert (await person.client.post("/auth/logout")).status_code == 204

    await person.get("/me", 401)
    await person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}, 401)


async def test_an_unknown_user_and_a_wrong_password_look_the_same(person: Person) -> None:
    """The response to a login does not reveal whether the address is registered."""
    wrong = await person.client.post("/auth/login", json={"email": person.email, "password": "x" * 12})
    unknown = await person.client.post("/auth/login", json={"email": "no@example.com", "password": PASSWORD})

    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert wrong.status_code == 401


@pytest.mark.parametrize("body", UNREADABLE)
async def test_a_body_that_can_not_be_read_is_a_problem(person: Person, body: bytes) -> None:
    """For any body, the response is a problem document that says the request is at fault."""
    for path in ("/auth/register", "/auth/login", "/auth/refresh", "/accounts"):
        headers = {"Content-Type": "application/json"}
        answer = await person.client.post(path, content=body, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


@pytest.mark.parametrize(
    "email", ["", "a", "a@", "@b", "a b@c", "\u1c89@example.com", "a@b\x00", "a@" + "b" * 191]
)
async def test_what_is_no_address_is_not_registered(person: Person, email: str) -> None:
    """Addresses that mail cannot reach, or that databases fold in another way, are refused."""
    problem = await person.post("/auth/register", {"email": email, "password": PASSWORD}, 400)

    assert problem["code"] == "invalid_input"


async def test_a_wrong_method_is_told_the_right_ones(person: Person) -> None:
    """405 lists the methods of the route."""
    answer = await person.client.put("/me")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["Allow"]
