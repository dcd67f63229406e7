"""Operators have a listener, tokens and an audit of their own, and no answer to them has an amount."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
import pytest_asyncio

from contracts.operators import Role
from deploy.database.operators import listed, revoke
from deploy.local.nats import Nats
from deploy.local.postgres import GATEWAY, OWNER, SUPERUSER, Postgres
from deploy.local.stack import Stack
from tests.system.conftest import NewPerson
from tests.system.operating import Operating, acts, operations_client, token_of
from tests.system.person import PASSWORD, Person, credentials

# Fields of answers whose names do not say money, a credential or a person.
SECRETIVE = re.compile(
    r"balance|total|amount|available|locked|borrowed|equity|usd|price|secret|key_hint|passphrase|password"
    r"|token|email|uid|body|^data$|^credential",
    re.IGNORECASE,
)


@pytest_asyncio.fixture(name="operations")
async def _operations(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with operations_client(stack) as client:
        yield client


@pytest_asyncio.fixture(name="operator")
async def _operator(operations: httpx.AsyncClient, database: Postgres) -> Operating:
    """Return an operator who may act."""
    return Operating(operations, await token_of(database, "grace"))


async def test_only_a_valid_token_of_an_operator_opens_the_api(
    operations: httpx.AsyncClient, operator: Operating, database: Postgres, person: Person, stack: Stack
) -> None:
    """No token, a wrong, altered, revoked or user's one is refused, and users' routes refuse this one."""
    revoked = await token_of(database, "gone")
    async with await database.connect(OWNER) as connection:
        await revoke(connection, "gone")
    altered = operator.token[:-1] + ("A" if operator.token[-1] != "A" else "B")
    for token in ("x", altered, revoked, person.tokens["access_token"]):
        problem = await Operating(operations, token).call("GET", "/status", 401)
        assert problem["code"] == "operator_unauthorized"
    assert (await operations.get("/api/v1/admin/status")).headers["www-authenticate"] == "Bearer"
    await operator.call("GET", "/status")

    async with httpx.AsyncClient(base_url=stack.api, trust_env=False) as users:
        for path, status in (
            ("/api/v1/me", 401),
            ("/api/v1/admin/status", 404),
            ("/admin/openapi.json", 404),
        ):
            answer = await users.get(path, headers={"Authorization": f"Bearer {operator.token}"})
            assert answer.status_code == status
        document = (await users.get("/openapi.json")).json()
    assert not [path for path in document["paths"] if "admin" in path]
    refused = [row for row in await acts(database) if row[1] == "token_refused"]
    assert len(refused) == 5


async def test_refused_tokens_are_counted_and_the_audit_of_them_is_bounded(
    operations: httpx.AsyncClient, operator: Operating, database: Postgres
) -> None:
    """Over the limit of its address a guess gets 429 and no line in the audit; a valid token still works."""
    answers = [
        (await operations.get("/api/v1/admin/status", headers={"Authorization": "Bearer x"})).status_code
        for _ in range(25)
    ]

    assert answers == [401] * 20 + [429] * 5
    assert len(await acts(database)) == 20
    await operator.call("GET", "/status")


async def test_a_viewer_sees_and_does_not_act(operations: httpx.AsyncClient, database: Postgres) -> None:
    """Every route that changes something refuses the role, and the refusal is audited."""
    viewer = Operating(operations, await token_of(database, "ada", Role.VIEWER))
    document = (await operations.get("/admin/openapi.json")).raise_for_status().json()
    some = {"sequence": "1", "user_id": "019ac3f0-0000-7000-8000-000000000000", "exchange": "okx"}
    refused = 0
    for path, methods in document["paths"].items():
        for method in methods:
            named = path.removeprefix("/api/v1/admin").format(**some)
            if method == "get":
                assert await viewer.call("GET", named, 404 if "users" in path else 200) is not None
            else:
                query = {"before": 1} if named == "/dead-letters" else {}
                problem = await viewer.call(method.upper(), named, 403, params=query)
                assert problem["code"] == "role_too_small"
                refused += 1

    assert refused == 9
    assert await acts(database) == [("ada", "act_refused", None)] * refused


async def test_no_answer_has_a_place_for_money_a_credential_or_an_email_address(
    operations: httpx.AsyncClient, operator: Operating, new_person: NewPerson
) -> None:
    """No field of the API is named like one, and no answer holds the values of a synced account."""
    person = await new_person()
    account = await person.connect("plain")
    await person.post(f"/accounts/{account['id']}/sync")
    user = await person.get("/me")
    document = (await operations.get("/admin/openapi.json")).raise_for_status().json()
    fields = {name for schema in document["components"]["schemas"].values() for name in schema["properties"]}
    # Problem documents are those of the users' API, whose members are about a key that was refused.
    said = [
        await operator.call("GET", "/status"),
        await operator.call("GET", "/dead-letters"),
        await operator.call("GET", f"/users/{user['id']}"),
        await operator.call("POST", f"/users/{user['id']}/disable"),
        await operator.call("DELETE", f"/users/{user['id']}/sessions"),
    ]

    assert {name for name in fields if SECRETIVE.search(name)} <= {"secret_destroyed"}
    text = json.dumps(said)
    holdings = [person.email, PASSWORD, account["api_key_hint"], *credentials("plain").values()]
    assert not [value for value in holdings if value in text]
    counts = said[0]["counts"]
    assert (counts["users"], counts["connected_accounts"], counts["open_syncs"]) == (1, 1, 0)
    assert {stream["name"] for stream in said[0]["streams"] if stream["messages"] is not None} >= {
        "SYNC_REQUESTS",
        "ADVISORIES",
    }
    assert said[0]["health"]["ready"] is True


async def test_a_disabled_user_is_refused_at_once_everywhere(
    operator: Operating, person: Person, database: Postgres
) -> None:
    """Token, login and refresh are refused with a code of their own; enabled again, the session goes on."""
    user = await person.get("/me")
    login = {"email": person.email, "password": PASSWORD}
    refresh = {"refresh_token": person.tokens["refresh_token"]}

    assert (await operator.call("POST", f"/users/{user['id']}/disable"))["disabled_at"]
    for method, path, body in (
        ("GET", "/me", None),
        ("POST", "/accounts/sync-all", None),
        ("POST", "/auth/login", login),
        ("POST", "/auth/refresh", refresh),
    ):
        answer = await person.client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "user_disabled")
    assert (await person.post("/auth/login", login | {"password": "wrong horse"}, 401))[
        "code"
    ] == "unauthorized"

    assert (await operator.call("POST", f"/users/{user['id']}/enable"))["disabled_at"] is None
    await person.get("/me")
    await person.post("/auth/refresh", refresh)
    await operator.call("POST", "/users/019ac3f0-0000-7000-8000-000000000000/disable", 404)
    assert await acts(database) == [("grace", f"user_{what}d", user["id"]) for what in ("disable", "enable")]


async def test_an_operator_ends_all_sessions_of_a_user(
    operator: Operating, person: Person, database: Postgres
) -> None:
    """Tokens and refresh tokens of every login stop working at once; a new login works."""
    user = await person.get("/me")
    login = {"email": person.email, "password": PASSWORD}
    await person.post("/auth/login", login)

    assert await operator.call("DELETE", f"/users/{user['id']}/sessions") == {"ended": 2}
    await person.get("/me", 401)
    await person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}, 401)
    await person.post("/auth/login", login)
    assert await acts(database) == [("grace", "sessions_ended", user["id"])]


async def test_a_paused_exchange_takes_no_sync_and_no_key(
    operator: Operating, person: Person, database: Postgres
) -> None:
    """New syncs and submissions get 503 with words and Retry-After, the list says it, and it ends."""
    account = await person.connect("plain")
    paths = ("/sync", "/credentials")
    await operator.call("POST", "/exchanges/okx/pause")

    answers = [
        await person.client.post(f"/accounts/{account['id']}{paths[0]}"),
        await person.client.post("/accounts/sync-all"),
        await person.client.put(
            f"/accounts/{account['id']}{paths[1]}", json={"credentials": credentials("plain")}
        ),
        await person.client.post(
            "/accounts",
            json={"exchange": "okx", "name": "x", "region": "global", "credentials": credentials("margin")},
        ),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "exchange_paused"), answer.text
        assert answer.headers["retry-after"] == "300"
    shown = next(each for each in await person.get("/exchanges") if each["key"] == "okx")
    assert shown["paused_since"]
    await operator.call("POST", "/exchanges/moon/pause", 404)

    await operator.call("POST", "/exchanges/okx/resume")
    shown = next(each for each in await person.get("/exchanges") if each["key"] == "okx")
    assert shown["paused_since"] is None
    assert (await person.post(f"/accounts/{account['id']}/sync"))["status"] == "completed"
    assert await acts(database) == [("grace", f"exchange_{what}", "okx") for what in ("paused", "resumed")]


CHANGES = (
    "insert into operators (id, name, role, token_hash) values (gen_random_uuid(), 'x', 'operator', '\\x00')",
    "update operators set role = 'operator'",
    "update operators set revoked_at = null",
    "update operators set token_hash = '\\x00'",
    "delete from operators",
    "update operator_acts set action = 'x'",
    "delete from operator_acts",
)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_gateway_makes_no_operator_and_rewrites_no_act(clean_database: Postgres, change: str) -> None:
    """Its role reads operators and notes their use; only the owner of the database adds and revokes them."""
    await token_of(clean_database, "grace", Role.VIEWER)
    async with await clean_database.connect(GATEWAY) as connection:
        await connection.execute("update operators set last_used_at = now()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(change.encode())


async def test_a_token_stands_nowhere(operator: Operating, database: Postgres, nats: Nats) -> None:
    """The database holds the hash of a token only, and the list of operators nothing that opens anything."""
    await operator.call("GET", "/status")
    secret = operator.token.rpartition(".")[2]
    async with await database.connect(SUPERUSER) as connection:
        rows: list[Any] = await (await connection.execute("select operators::text from operators")).fetchall()
    async with await database.connect(OWNER) as connection:
        (shown,) = await listed(connection)

    assert not [each for each in (secret, secret.encode().hex()[:64]) if each in str(rows) + str(shown)]
    assert re.fullmatch(r"grace  operator  added \S+ \S+  last used \d{4}-\S+ \S+", str(shown))
