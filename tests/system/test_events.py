"""Subscribers receive an event for each sync, and no event that they may not read."""

import asyncio
import json
from typing import Any

import jsonschema_rs
import pytest
from faststream.nats import NatsBroker, NatsMessage
from faststream.nats.security import NatsNKey

from contracts.wire.asyncapi import CONTRACTS
from deploy.local.nats import Nats
from tests.joining import joined, tls_of
from tests.system.person import Person
from tests.tapping import taken

pytestmark = pytest.mark.cluster


async def test_a_subscriber_hears_every_outcome_without_amounts(person: Person, nats: Nats) -> None:
    """One event per sync, on the user's subject, with CloudEvents attributes."""
    user = await person.get("/me")
    account = await person.connect("plain")
    async with await joined(nats, "subscriber") as client:
        events = await client.subscribe(f"butler.account.synced.{user['id']}")
        await taken(client)

        sync = await person.post(f"/accounts/{account['id']}/sync")
        event = await events.next_msg(timeout=10)

    fact = json.loads(event.data)
    assert (fact["sync_id"], fact["account_id"], fact["status"]) == (
        sync["sync_id"],
        account["id"],
        "completed",
    )
    assert (fact["user_id"], fact["holdings_count"]) == (user["id"], 5)
    assert event.headers is not None
    assert (event.headers["ce-specversion"], event.headers["ce-type"]) == (
        "1.0",
        "io.pocketbutler.account.synced.v1",
    )
    assert b"balances" not in event.data
    assert b"0.049" not in event.data


async def test_a_failed_sync_is_an_event_as_well(person: Person, nats: Nats) -> None:
    """A sync publishes an event even if it failed or its account was deleted meanwhile."""
    account = await person.connect("plain")
    user = await person.get("/me")
    async with await joined(nats, "subscriber") as client:
        events = await client.subscribe(f"butler.account.*.{user['id']}")
        await taken(client)

        await person.client.post(f"/accounts/{account['id']}/sync", headers={"Prefer": "respond-async"})
        await person.client.delete(f"/accounts/{account['id']}")
        event = await events.next_msg(timeout=10)

    assert json.loads(event.data)["account_id"] == account["id"]


async def test_a_program_with_stock_faststream_reads_the_events(person: Person, nats: Nats) -> None:
    """A plain subscriber with a subscriber's key decodes AccountSynced, which fits the published schema."""
    published = json.loads((CONTRACTS / "published" / "AccountSynced.json").read_text())
    heard = asyncio.Queue[tuple[dict[str, Any], dict[str, str]]]()
    seed, tls = nats.seed_file("subscriber").read_text(), tls_of(nats, "subscriber")
    secured = tls is not None
    key = NatsNKey.from_seed(seed, ssl_context=tls, use_ssl=secured, tls_handshake_first=secured)
    broker = NatsBroker(nats.url, security=key)

    @broker.subscriber("butler.account.synced.>")
    async def on_synced(event: dict[str, Any], message: NatsMessage) -> None:
        heard.put_nowait((event, message.headers))

    account = await person.connect("plain")
    async with broker:
        await broker.start()
        await taken(broker.connection)
        sync = await person.post(f"/accounts/{account['id']}/sync")
        event, headers = await asyncio.wait_for(heard.get(), 10)

    jsonschema_rs.validator_for(published, validate_formats=True).validate(event)
    assert headers["ce-dataschema"] == published["$id"]
    assert (event["sync_id"], event["status"]) == (sync["sync_id"], "completed")
    assert {wallet["wallet"]: wallet["verdict"] for wallet in event["wallets"]} == {
        "trading": "complete",
        "funding": "complete",
        "earn": "complete",
    }
