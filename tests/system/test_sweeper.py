"""The sweeper settles syncs and credentials that no other part will."""

from typing import Any
from uuid import uuid4

from uuid_utils.compat import uuid7

from deploy.local.nats import Nats
from deploy.local.postgres import SUPERUSER, Postgres
from tests.joining import joined
from tests.system.person import Person
from tests.system.vault import Vault
from tests.waiting import until


async def run(database: Postgres, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a statement as the superuser."""
    async with await database.connect(SUPERUSER) as connection:
        cursor = await connection.execute(statement.encode(), values)
        return await cursor.fetchall() if cursor.description else []


async def queued(database: Postgres, person: Person, **columns: str) -> tuple[str, str]:
    """Insert an open sync as a dead gateway left it, and return its path and id."""
    account = await person.connect("plain")
    user = await person.get("/me")
    sync_id = str(uuid7())
    values = {
        "deadline": "now() + interval '1 hour'",
        "published_at": "now()",
        "request_seq": "null",
    } | columns
    await run(
        database,
        f"""insert into syncs (id, user_id, account_id, exchange, {", ".join(values)})
            values (%s, %s, %s, 'okx', {", ".join(values.values())})""",  # noqa: S608 - the test's own text
        sync_id,
        user["id"],
        account["id"],
    )
    return f"/syncs/{sync_id}", sync_id


async def test_an_abandoned_credential_is_destroyed(person: Person, vault_admin: Vault) -> None:
    """A gateway that dies between storing and deciding leaves no credential in the vault."""
    account = await person.connect("plain")
    credential = await vault_admin.credential_of(account["id"])
    user = await person.get("/me")
    abandoned = uuid4()
    await vault_admin.rows(
        """insert into credentials (id, user_id, exchange, created_at)
           values (%s, %s, 'okx', now() - interval '1 hour') returning id""",
        abandoned,
        user["id"],
    )

    await until(lambda: vault_admin.holds_exactly(credential))


async def test_a_sync_whose_request_was_lost_is_published_again(person: Person, database: Postgres) -> None:
    """The bus may lose a request; the table does not."""
    path, _ = await queued(database, person, published_at="now() - interval '10 minutes'")

    async def ended() -> bool:
        return bool((await person.get(path))["success"])

    await until(ended)


async def test_a_sync_over_its_deadline_ends_as_failed(person: Person, database: Postgres) -> None:
    """The sweeper settles an open sync after its deadline; the stored balances become stale, not empty."""
    path, _ = await queued(database, person, deadline="now() - interval '1 minute'")

    async def ended() -> bool:
        return bool((await person.get(path))["success"] is False)

    await until(ended)
    sync = await person.get(path)
    assert (sync["error_code"], sync["holdings_count"]) == ("deadline_exceeded", None)
    account = await person.get(f"/accounts/{sync['account_id']}")
    assert (account["last_error_code"], account["last_synced_at"]) == ("deadline_exceeded", None)


async def test_a_request_that_the_bus_gave_up_ends_its_sync(
    person: Person, database: Postgres, nats: Nats
) -> None:
    """A max-deliver advisory names a sequence number in the stream, and the sync of that request fails."""
    path, _ = await queued(database, person, request_seq="987654")
    advisory = (
        b'{"type":"io.nats.jetstream.advisory.v1.max_deliver","stream":"SYNC_REQUESTS","stream_seq":987654}'
    )
    async with await joined(nats, "admin") as client:
        subject = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.SYNC_REQUESTS.sync-worker-okx"
        await client.jetstream().publish(subject, advisory)

    async def ended() -> bool:
        return bool((await person.get(path))["error_code"] == "internal_error")

    await until(ended)


async def test_the_place_of_a_request_is_remembered(person: Person, database: Postgres) -> None:
    """The relay stores the sequence number of a request, so that an advisory can be mapped to it."""
    account = await person.connect("plain")
    await person.post(f"/accounts/{account['id']}/sync")

    assert (await run(database, "select request_seq from syncs"))[0][0] > 0
    assert await run(database, "select 1 from outbox where stream = 'SYNC_REQUESTS'") == []

    async def all_sent() -> bool:
        return await run(database, "select 1 from outbox") == []

    await until(all_sent)
