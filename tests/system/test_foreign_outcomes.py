"""An outcome that names another account than its sync changes no account, whoever owns it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from nats.aio.client import Client

from contracts import subjects
from contracts.wire.topology import OUTCOMES_CONSUMER
from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from tests.joining import joined
from tests.system.conftest import NewPerson
from tests.system.person import Person
from tests.system.test_sweeper import queued, run
from tests.waiting import until

AMOUNT = "666.25"
READ: dict[str, Any] = {
    "verdict": "complete",
    "balances": [{"asset": "XMR", "total": AMOUNT}],
}
WALLETS = [{"wallet": "trading"} | READ, {"wallet": "funding"} | READ]
NOT_COVERED = {"wallet": "earn", "verdict": "not_covered"}
FAILED = {"verdict": "failed", "error_code": "key_unknown", "error": "no such key"}
READ_ALL = {"type": "completed", "status": "completed", "wallets": [*WALLETS, NOT_COVERED]}
READ_ONE = {
    "type": "completed",
    "status": "partial",
    "wallets": [WALLETS[0], {"wallet": "funding"} | FAILED, NOT_COVERED],
}
READ_NONE = {"type": "failed", "error_code": "key_unknown", "error": "no such key"}


def read_now(outcome: dict[str, Any]) -> dict[str, Any]:
    """Set the read time of the read wallets to now, within the life of the sync."""
    wallets = [
        wallet | {"as_of": datetime.now(UTC).isoformat()} if "balances" in wallet else wallet
        for wallet in outcome.get("wallets", [])
    ]
    return outcome | {"wallets": wallets}


async def said(client: Client, outcome: dict[str, Any], sync_id: str, account_id: str) -> None:
    """Publish an outcome, and wait until the gateways have handled it."""
    jetstream = client.jetstream()
    named = {"sync_id": sync_id, "account_id": account_id, "exchange": "okx"}
    body = json.dumps(read_now(outcome) | named).encode()
    name = subjects.sync_failed if outcome["type"] == "failed" else subjects.sync_completed
    published = await jetstream.publish(name("okx"), body, headers={"Nats-Msg-Id": str(uuid4())})

    async def handled() -> bool:
        info = await jetstream.consumer_info(OUTCOMES_CONSUMER.stream, OUTCOMES_CONSUMER.name)
        return bool(info.ack_floor and info.ack_floor.stream_seq >= published.seq)

    await until(handled)


async def shown(person: Person, account_id: str) -> list[Any]:
    """Return all that the API shows of an account and its holdings."""
    path = f"/accounts/{account_id}"
    return [await person.get(path + what) for what in ("", "/balances", "/holdings", "/syncs")]


@pytest.mark.parametrize("own", [True, False], ids=["of the same user", "of another user"])
@pytest.mark.parametrize("outcome", [READ_ALL, READ_ONE, READ_NONE], ids=["completed", "partial", "failed"])
async def test_a_foreign_outcome_changes_no_account(
    person: Person,
    new_person: NewPerson,
    database: Postgres,
    nats: Nats,
    outcome: dict[str, Any],
    *,
    own: bool,
) -> None:
    """Neither the named account, synced before or not, nor the sync's own account shows any of it."""
    path, sync_id = await queued(database, person)
    account_id = (await person.get(path))["account_id"]
    owner = person if own else await new_person()
    for name, synced in (("margin", True), ("sub-account", False)):
        named = (await owner.connect(name))["id"]
        if synced:
            await owner.post(f"/accounts/{named}/sync")
        before = await shown(owner, named)
        async with await joined(nats, "admin") as client:
            await said(client, outcome, sync_id, named)

        assert await shown(owner, named) == before
        account, *held = await shown(person, account_id)
        assert (account["last_synced_at"], AMOUNT in json.dumps(held)) == (None, False)
        sync = await person.get(path)
        assert sync["status"] in {"queued", "failed"}
        assert sync["error_code"] in {None, "internal_error"}
    assert await run(database, "select 1 from balances where total = %s", AMOUNT) == []


async def test_a_sync_still_gets_its_own_outcome(person: Person, database: Postgres, nats: Nats) -> None:
    """The gateway does not record an outcome under a foreign sync's id for the account's own open sync."""
    path, sync_id = await queued(database, person)
    account_id = (await person.get(path))["account_id"]
    other = (await person.connect("margin"))["id"]
    other_sync = (await person.post(f"/accounts/{other}/sync"))["sync_id"]
    async with await joined(nats, "admin") as client:
        # Its sync has ended, and the account that it names waits for its own.
        await said(client, READ_ALL, other_sync, account_id)
        assert (await person.get(path))["status"] == "queued"

        await said(client, READ_ALL, sync_id, account_id)

    sync = await person.get(path)
    assert (sync["status"], sync["holdings_count"]) == ("completed", 1)
