"""Outcomes that cannot be recorded become dead letters, end their syncs, and delay no other outcome."""

import json
from typing import Any

import pytest
from nats.aio.client import Client
from uuid_utils.compat import uuid7

from deploy.local.nats import Nats
from deploy.local.postgres import SUPERUSER, Postgres
from tests.joining import joined
from tests.system.person import Person
from tests.system.test_sweeper import queued
from tests.waiting import until

SUBJECT = "butler.sync.completed.okx"
# More than the server delivers before it waits for an ack.
FLOOD = 1100
WALLET = {"wallet": "trading", "verdict": "complete", "as_of": "2026-01-01T00:00:00Z", "balances": []}
POISON: dict[str, dict[str, Any]] = {
    "an exchange that nobody knows": {"exchange": "moon"},
    "a time without a zone": {"wallets": [WALLET | {"as_of": "2026-01-01T00:00:00"}]},
    "a time before all exchanges": {"wallets": [WALLET | {"as_of": "0001-01-01T00:00:00+14:00"}]},
    "a time that is no time": {"wallets": [WALLET | {"as_of": "soon"}]},
    "a wallet without a list": {"wallets": [WALLET | {"balances": None}]},
    "a wallet twice": {"wallets": [WALLET, WALLET]},
    "an asset twice": {"wallets": [WALLET | {"balances": [{"asset": "BTC", "total": "1"}] * 2}]},
    "an amount that is not finite": {"wallets": [WALLET | {"balances": [{"asset": "BTC", "total": "NaN"}]}]},
    "an amount beyond all numbers": {"wallets": [WALLET | {"balances": [{"asset": "B", "total": "1e999"}]}]},
    "a zero byte": {"wallets": [WALLET | {"balances": [{"asset": "B\0", "total": "1"}]}]},
    "a zero byte in the words": {
        "wallets": [{"wallet": "funding", "verdict": "failed", "error_code": "x", "error": "\0"}]
    },
    "half a character": {"wallets": [WALLET | {"balances": [{"asset": "\ud800", "total": "1"}]}]},
    "another account": {"account_id": str(uuid7())},
    "a kind of a later version": {"type": "adjourned"},
    "no wallets at all": {"wallets": None},
}


async def letters(client: Client) -> int:
    """Count the dead letters."""
    return int((await client.jetstream().stream_info("DEAD_LETTERS")).state.messages)


async def readable(client: Client, account: str) -> None:
    """Send outcomes of ended syncs, so that poison is a minority and the brake stays off."""
    for _ in range(20):
        await client.jetstream().publish(SUBJECT, message(str(uuid7()), account))


def message(sync_id: str, account: str, **spoiled: Any) -> bytes:
    """Write a good outcome except for the spoiled part."""
    good = {
        "type": "completed",
        "sync_id": sync_id,
        "account_id": account,
        "exchange": "okx",
        "status": "completed",
        "wallets": [WALLET],
    }
    return json.dumps(good | spoiled).encode()


@pytest.mark.parametrize("poison", POISON)
async def test_an_outcome_that_can_not_be_recorded_is_buried_and_its_sync_settled(
    person: Person, database: Postgres, nats: Nats, poison: str
) -> None:
    """The user does not wait for the deadline, an hour later, and no part of the outcome is stored."""
    path, sync_id = await queued(database, person)
    account = (await person.get(path))["account_id"]
    async with await joined(nats, "admin") as client:
        await readable(client, account)
        body = message(sync_id, account, **POISON[poison])
        await client.jetstream().publish(SUBJECT, body, headers={"Nats-Msg-Id": f"{sync_id}:outcome"})

        async def settled() -> bool:
            return (await person.get(path))["error_code"] == "internal_error" and await letters(client) == 1

        await until(settled)
    balances = await person.get(f"/accounts/{account}/balances")
    assert [wallet["state"] for wallet in balances["wallets"]] == ["never_read"] * 3


async def test_an_outcome_with_a_hostile_header_is_buried(
    person: Person, database: Postgres, nats: Nats
) -> None:
    """A header that the stream of dead letters would refuse is not copied."""
    path, sync_id = await queued(database, person)
    account = (await person.get(path))["account_id"]
    async with await joined(nats, "admin") as client:
        headers = {"Nats-Expected-Stream": "SYNC_OUTCOMES", "ce-id": "1"}
        await readable(client, account)
        await client.publish(SUBJECT, message(sync_id, account, exchange="moon"), headers=headers)

        async def settled() -> bool:
            return (await person.get(path))["error_code"] == "internal_error" and await letters(client) == 1

        await until(settled)


async def test_more_poison_than_the_server_hands_out_holds_up_no_outcome(
    person: Person, database: Postgres, nats: Nats
) -> None:
    """However many outcomes cannot be recorded, a sync requested among them completes, and all end."""
    account = await person.connect("plain")
    async with await joined(nats, "admin") as client:
        stream = client.jetstream()
        for _ in range(FLOOD):
            await stream.publish_async(SUBJECT, message(str(uuid7()), account["id"], exchange="moon"))
        await stream.publish_async_completed()

        sync = await person.post(f"/accounts/{account['id']}/sync")

        assert sync["success"] is True
        await stream.purge_stream("SYNC_OUTCOMES")
    async with await database.connect(SUPERUSER) as connection:
        rows = await connection.execute("select count(*) from syncs where status = 'queued'")
        assert await rows.fetchone() == (0,)
