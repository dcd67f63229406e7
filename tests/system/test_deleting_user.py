"""Deleting a user removes everything but the audit, and every open sync gets its outcome."""

import asyncio
from typing import Any
from uuid import uuid4

from deploy.local.postgres import Postgres
from tests.conformance.simulated import Admin
from tests.conformance.table import CONFIG
from tests.system.changing import changing
from tests.system.conftest import NewPerson
from tests.system.person import PASSWORD, Person, credentials
from tests.system.test_sweeper import queued, run
from tests.system.vault import Vault
from tests.waiting import until

DELETION = {"password": PASSWORD}
KEPT = {"audit"}


async def everything(database: Postgres) -> str:
    """Return the text of every stored row except those of the audit."""
    tables = await run(database, "select tablename from pg_tables where schemaname = 'public'")
    rows = [
        await run(database, f"select t::text from {name} t")  # noqa: S608 - own text
        for (name,) in tables
        if name not in KEPT
    ]
    return str(rows)


async def of_person(person: Person, database: Postgres, account: dict[str, Any]) -> dict[str, str]:
    """Return the texts that the user entered."""
    ((uid, master),) = await run(
        database, "select exchange_uid, master_uid from accounts where id = %s", account["id"]
    )
    names = {"email": person.email, "name": account["name"], "hint": account["api_key_hint"]}
    return names | {"uid": f",{uid},", "master uid": f",{master},"}


async def audited(database: Postgres, user_id: str) -> list[str]:
    """Return the audited actions of a user from the deletion on."""
    rows = await run(
        database,
        """select action from audit where user_id = %s and id >= (
               select min(id) from audit where action = 'user_deleted') order by id""",
        user_id,
    )
    return [action for (action,) in rows]


async def test_a_deleted_user_is_gone(person: Person, database: Postgres, vault_admin: Vault) -> None:
    """Email, password, sessions and balances are deleted at once, the secrets soon; the audit stays."""
    user = await person.get("/me")
    account = await person.connect("plain")
    await person.post(f"/accounts/{account['id']}/sync")
    await person.post(f"/accounts/{account['id']}/sync", Idempotency_Key="a text of mine")
    texts = await of_person(person, database, account) | {"key": "a text of mine"}
    stored = await everything(database)
    assert {name for name, text in texts.items() if text not in stored} == set()

    await person.post("/me/deletion", DELETION, 204)

    await person.get("/me", 401)
    await person.post("/auth/refresh", {"refresh_token": person.tokens["refresh_token"]}, 401)
    await person.post("/auth/login", {"email": person.email, "password": PASSWORD}, 401)
    stored = await everything(database)
    assert {name for name, text in texts.items() if text in stored} == set()
    for table in (
        "balances",
        "account_wallets",
        "positions",
        "drift",
        "refresh_families",
        "session_networks",
        "known_networks",
    ):
        assert await run(database, f"select 1 from {table}") == []  # noqa: S608 - own text
    await until(vault_admin.holds_exactly)
    assert await audited(database, user["id"]) == ["user_deleted", "account_deleted", "secret_destroyed"]


async def test_the_email_is_free_again(person: Person) -> None:
    """A new registration of the address is another user, with no data of the first one."""
    first = await person.get("/me")
    await person.connect("plain")
    await person.post("/me/deletion", DELETION, 204)

    await person.sign_up()

    second = await person.get("/me")
    assert (second["email"], second["id"] != first["id"]) == (first["email"], True)
    assert await person.get("/accounts") == []
    assert (await person.connect("plain"))["id"]


async def test_every_open_sync_gets_its_one_outcome(person: Person, database: Postgres) -> None:
    """An open sync ends as after the deletion of its account, and is recorded once."""
    user = await person.get("/me")
    _, sync_id = await queued(database, person)

    await person.post("/me/deletion", DELETION, 204)

    async def ended() -> bool:
        return await run(database, "select status, error_code from syncs where id = %s", sync_id) == [
            ("failed", "account_deleted")
        ]

    await until(ended)
    recorded = "select 1 from audit where action = 'sync_recorded' and subject = %s and user_id = %s"
    assert len(await run(database, recorded, sync_id, user["id"])) == 1


async def test_a_wrong_password_deletes_nothing(person: Person, database: Postgres) -> None:
    """An access token alone does not suffice."""
    account = await person.connect("plain")

    problem = await person.post("/me/deletion", {"password": "wrong horse battery"}, 403)

    assert problem["code"] == "wrong_password"
    assert [each["id"] for each in await person.get("/accounts")] == [account["id"]]
    assert await run(database, "select 1 from deleted_users") == []


async def test_other_users_keep_everything(person: Person, new_person: NewPerson) -> None:
    """A deletion changes no data of another user who connected the same account of the exchange."""
    other = await new_person()
    account = await other.connect("plain")
    await other.post(f"/accounts/{account['id']}/sync")
    before = await other.get(f"/accounts/{account['id']}/balances")
    await person.connect("plain")

    await person.post("/me/deletion", DELETION, 204)

    assert await other.get(f"/accounts/{account['id']}/balances") == before
    assert (await other.post(f"/accounts/{account['id']}/sync"))["success"] is True
    await other.post("/auth/refresh", {"refresh_token": other.tokens["refresh_token"]})


async def test_a_deletion_that_was_cut_off_is_finished(
    person: Person, database: Postgres, vault_admin: Vault
) -> None:
    """When the gateway dies after the first of its two transactions, any gateway does the second."""
    _, sync_id = await queued(database, person)
    user = await person.get("/me")
    await run(
        database, "update users set email = 'deleted', password_hash = 'deleted' where id = %s", user["id"]
    )

    await run(database, "insert into deleted_users (user_id) values (%s)", user["id"])

    async def finished() -> bool:
        left = await run(database, "select 1 from accounts where deleted_at is null")
        ended = await run(database, "select error_code from syncs where id = %s", sync_id)
        return (left, ended) == ([], [("account_deleted",)])

    await until(finished)
    await until(vault_admin.holds_exactly)
    await person.get("/me", 401)


async def test_what_a_gateway_of_before_adds_is_taken_away(
    person: Person, database: Postgres, vault_admin: Vault
) -> None:
    """An older gateway, unaware of deleted users, may add an account or a session a moment later."""
    account = await person.connect("plain")
    credential = await vault_admin.credential_of(account["id"])
    user = await person.get("/me")
    ((row,),) = await run(database, "select to_jsonb(a) from accounts a where id = %s", account["id"])
    await person.post("/me/deletion", DELETION, 204)
    await until(vault_admin.holds_exactly)

    await run(
        database,
        """with late as (insert into credentials (id, user_id, exchange, state)
                         values (%s, %s, 'okx', 'live') returning id),
                session as (insert into refresh_families (id, user_id, expires_at)
                            values (%s, %s, now() + interval '1 day'))
           insert into accounts (id, user_id, exchange, region, name, credential_id, exchange_uid, master_uid,
                                 permissions, ip_bound, api_key_hint)
           select %s, %s, 'okx', %s, 'late', late.id, %s, %s, '{}', false, '' from late""",
        *(credential, user["id"], uuid4(), user["id"], uuid4(), user["id"]),
        *(row["region"], row["exchange_uid"], row["master_uid"]),
    )

    async def taken_away() -> bool:
        lasting = await run(database, "select 1 from accounts where deleted_at is null or exchange_uid <> ''")
        return not lasting and not await run(database, "select 1 from refresh_families")

    await until(taken_away)
    await until(vault_admin.holds_exactly)


async def test_a_key_that_is_being_verified_is_destroyed(
    person: Person, database: Postgres, vault_admin: Vault, admin: Admin
) -> None:
    """A connection in progress makes no account for a user who was deleted meanwhile."""
    await admin.put("plain", CONFIG, {"fault": "latency", "seconds": 3})
    body = {"exchange": "okx", "name": "x", "region": "global", "credentials": credentials("plain")}
    connecting = asyncio.create_task(person.client.post("/accounts", json=body))

    async def submitted() -> bool:
        return await vault_admin.audited("credential_submitted")

    await until(submitted)
    await person.post("/me/deletion", DELETION, 204)

    assert (await connecting).status_code in {401, 503}
    assert await run(database, "select 1 from accounts") == []
    await until(vault_admin.holds_exactly, seconds=45)


async def test_a_key_that_comes_after_the_deletion_is_destroyed(
    person: Person, database: Postgres, vault_admin: Vault
) -> None:
    """A request that was authenticated before the deletion, and submits its key later, makes no account."""
    deletion = "update users set email = 'deleted', password_hash = 'deleted'"
    async with changing(database, deletion) as change:
        connecting = asyncio.create_task(person.connect("plain", 401))
        await until(change.keeps_waiting)

    assert (await connecting)["code"] == "unauthorized"
    assert await run(database, "select 1 from accounts") == []
    await until(vault_admin.holds_exactly, seconds=45)


async def test_what_syncs_read_is_forgotten_after_ten_minutes(person: Person, database: Postgres) -> None:
    """The syncs stay as outcomes without their wallets; afterwards the sweeper looks for no more of them."""
    account = await person.connect("plain")
    await person.post(f"/accounts/{account['id']}/sync")
    await person.post("/me/deletion", DELETION, 204)
    assert await run(database, "select 1 from syncs where wallets <> '[]'")

    await run(database, "update deleted_users set deleted_at = now() - interval '11 minutes'")

    async def forgotten() -> bool:
        return not await run(database, "select 1 from deleted_users where emptied_at is null")

    await until(forgotten)
    assert await run(database, "select status, wallets, holdings_count from syncs") == [
        ("completed", [], None)
    ]


async def test_a_deleted_user_can_not_be_signed_in_to(person: Person, database: Postgres) -> None:
    """The stored address is not a valid address, and no password matches the stored hash."""
    await person.post("/me/deletion", DELETION, 204)
    ((email, password_hash),) = await run(database, "select email, password_hash from users")

    for name in ("login", "register"):
        body = {"email": email, "password": "nobody has this password"}
        assert (await person.client.post(f"/auth/{name}", json=body)).status_code == 400
    assert not password_hash.startswith("$argon2")
