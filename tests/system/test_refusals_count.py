"""A refused request counts like an accepted one, so that refusals do not bypass a limit."""

from uuid import UUID, uuid4

import httpx
import pytest

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.system.gateways import another_gateway
from tests.system.person import Person
from tests.system.test_submitting_limits import signed_in
from tests.system.test_sweeper import run

QUOTA = 4
LIMITS = {"SYNC_LIMIT_PER_MINUTE": str(QUOTA), "SYNC_ALL_LIMIT_PER_MINUTE": str(QUOTA)}
SYNC, SYNC_ALL = "/accounts/{account}/sync", "/accounts/sync-all"


async def paused(database: Postgres, account: str) -> None:
    """Pause the account, as after a sync that found a further right of its key."""
    await run(
        database,
        """insert into account_pauses (account_id, credential_id, reason, rights, next_verify_at)
           select id, credential_id, 'over_privileged_key', '["trade"]', now() + interval '1 hour'
           from accounts where id = %s""",
        account,
    )


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        (SYNC, None, 409, "account_paused"),
        (SYNC, "fresh", 409, "account_paused"),
        (SYNC, "used", 422, "idempotency_key_reused"),
        (SYNC, "k" * 129, 400, "invalid_input"),
        (f"/accounts/{UUID(int=0)}/sync", None, 404, "not_found"),
        (SYNC_ALL, "used", 422, "idempotency_key_reused"),
        (SYNC_ALL, "", 400, "invalid_input"),
    ],
)
async def test_a_refused_request_for_a_sync_counts(
    stack: Stack, person: Person, database: Postgres, path: str, key: str | None, status: int, code: str
) -> None:
    """After so many refusals the next request exceeds the limit of the user and of the address."""
    account = (await person.connect("plain"))["id"]
    await paused(database, account)
    user = (await person.get("/me"))["id"]
    await run(
        database,
        """insert into idempotency_keys (user_id, key, fingerprint, target_id)
           values (%s, 'used', 'POST /elsewhere', gen_random_uuid())""",
        user,
    )
    await run(database, "update rate_limits set ends_at = now()")
    headers = {} if key is None else {"Idempotency-Key": key}
    async with another_gateway(stack, **LIMITS) as address, signed_in(address, person) as client:
        answers = [await client.post(path.format(account=account), headers=headers) for _ in range(QUOTA + 1)]

    assert [answer.status_code for answer in answers] == [status] * QUOTA + [429]
    assert {answer.json()["code"] for answer in answers[:QUOTA]} == {code}
    ((counted,),) = await run(
        database, "select used from rate_limits where policy = 'write-address' and ends_at > now()"
    )
    assert counted == QUOTA
    assert await run(database, "select 1 from idempotency_keys where key <> 'used'") == []


async def test_a_registration_that_is_refused_counts(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """A registered email address, a weak password and an invalid body count alike."""
    await run(database, "update rate_limits set ends_at = now()")
    refused: list[dict[str, str]] = [
        {"email": person.email, "password": "correct horse battery"},
        {"email": "somebody@example.com", "password": "password"},
        {"email": "nobody", "password": "correct horse battery"},
        {},
    ]
    limit = {"REGISTRATION_LIMIT_PER_MINUTE": str(len(refused))}
    async with another_gateway(stack, **limit) as address, signed_in(address, person) as client:
        answers = [await client.post("/auth/register", json=body) for body in [*refused, *refused]]

    assert [answer.status_code for answer in answers] == [409, 400, 400, 400, 429, 429, 429, 429]


async def test_registrations_a_day(stack: Stack, database: Postgres) -> None:
    """One address registers at most its daily limit of users, however slowly."""
    statuses = []
    async with (
        another_gateway(stack, REGISTRATION_LIMIT_PER_DAY="2") as address,
        httpx.AsyncClient(base_url=f"{address}/api/v1", trust_env=False) as client,
    ):
        for _ in range(3):
            await run(database, "update rate_limits set ends_at = now() where policy = 'register'")
            body = {"email": f"{uuid4()}@example.com", "password": "correct horse battery"}
            statuses.append((await client.post("/auth/register", json=body)).status_code)

    assert statuses == [201, 201, 429]
