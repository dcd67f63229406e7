"""Accounts are synced by themselves, with the real services."""

import json
from datetime import datetime, timedelta
from typing import Any

from deploy.local.nats import Nats
from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.conformance.simulated import Admin
from tests.joining import joined
from tests.system.gateways import another_gateway
from tests.system.person import Person
from tests.system.test_sweeper import run
from tests.waiting import until


async def test_an_account_that_is_due_is_synced_without_a_request(
    stack: Stack, person: Person, database: Postgres, nats: Nats
) -> None:
    """The sync is the schedule's in the API and in the event; then the account is due an interval later."""
    user, account = await person.get("/me"), await person.connect("plain")
    path = f"/accounts/{account['id']}"
    assert (account["schedule"]["interval"], account["schedule"]["not_scheduled"]) == (3600, None)
    await person.post(f"{path}/sync")
    await run(database, "update schedule set next_at = now()")
    async with await joined(nats, "subscriber") as client:
        events = await client.subscribe(f"butler.account.synced.{user['id']}")
        await client.flush()
        async with another_gateway(stack, SCHEDULED_SYNCS_WAITING="500"):
            event: dict[str, Any] = {"cause": "person"}
            while event["cause"] == "person":
                event = json.loads((await events.next_msg(timeout=20)).data)

            async def ended() -> bool:
                listed = (await person.get(f"{path}/syncs?cause=schedule"))["items"]
                return [sync["status"] for sync in listed] == ["completed"]

            await until(ended)

    (scheduled,) = (await person.get(f"{path}/syncs?cause=schedule"))["items"]
    (asked,) = (await person.get(f"{path}/syncs?cause=person"))["items"]
    assert (scheduled["cause"], asked["cause"]) == ("schedule", "person")
    assert (event["sync_id"], event["cause"]) == (scheduled["sync_id"], "schedule")
    shown = await person.get(path)
    assert shown["last_synced_at"] >= scheduled["requested_at"]
    assert shown["schedule"]["next_at"] > scheduled["finished_at"]
    await person.get(f"{path}/syncs?cause=nobody", 400)


async def test_a_user_chooses_how_often_an_account_is_synced(person: Person) -> None:
    """From five minutes to a day, or never; a request that is out of bounds or empty changes nothing."""
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}"

    async def change(body: object, status: int = 200) -> object:
        answer = await person.client.patch(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json().get("schedule")

    for body in ({}, {"sync_interval": 299}, {"sync_interval": 86401}, {"sync_interval": "often"}):
        await change(body, 400)
    nothing = (await person.client.patch(path, json={})).json()
    assert (nothing["code"], "changes nothing" in nothing["detail"]) == ("invalid_input", True)
    assert (await person.get(path))["schedule"] == account["schedule"]
    await change({"name": "Savings", "sync_interval": 300})
    shown = await person.get(path)
    assert (shown["name"], shown["schedule"]["interval"]) == ("Savings", 300)
    await change({"sync_interval": None})
    off = (await person.get(path))["schedule"]
    assert (off["interval"], off["next_at"], off["not_scheduled"]) == (None, None, "off")
    (listed,) = await person.get("/accounts")
    assert listed["schedule"] == off


async def test_a_sync_of_a_moment_ago_answers_the_next_request(stack: Stack, person: Person) -> None:
    """With the same fields and `cached`; `fresh=true` reads anew."""
    account = await person.connect("plain")
    async with another_gateway(stack, SYNC_CACHE_SECONDS="60") as address:
        path = f"{address}/api/v1/accounts/{account['id']}/sync"
        first = (await person.client.post(path)).json()
        again = (await person.client.post(path)).json()
        fresh = (await person.client.post(f"{path}?fresh=true")).json()

    assert first["cached"] is False
    assert again == first | {"cached": True}
    assert (fresh["sync_id"] != first["sync_id"], fresh["cached"], fresh["success"]) == (True, False, True)


async def test_a_sync_says_that_it_waits_for_the_exchange(person: Person, admin: Admin) -> None:
    """Until when and why; an exchange that is closed for longer than its deadline names the next time."""
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}"
    refused = {"fault": "refusal", "code": "50011", "status": 429}
    await admin.put("plain", "account/balance", refused | {"retry_after": 6, "times": 1})
    sync = (await person.client.post(f"{path}/sync", headers={"Prefer": "respond-async"})).json()
    shown: dict[str, Any] = sync

    async def waits() -> bool:
        nonlocal shown
        shown = await person.get(f"/syncs/{sync['sync_id']}")
        return shown["waiting_for_exchange"] is not None

    await until(waits)
    assert (shown["status"], shown["waiting_for_exchange"]["error_code"]) == ("queued", "rate_limited")
    assert shown["waiting_for_exchange"]["until"] > shown["requested_at"]
    joined_sync = await person.post(f"{path}/sync")
    assert (joined_sync["sync_id"], joined_sync["success"]) == (sync["sync_id"], True)
    assert (joined_sync["waiting_for_exchange"], joined_sync["retry_at"]) == (None, None)
    reads = ("account/balance", "asset/balances")
    for read in reads:
        await admin.put("plain", read, refused | {"retry_after": 3000})

    closed = await person.post(f"{path}/sync")

    for read in reads:
        await admin.clear("plain", read)
    assert (closed["status"], closed["error_code"]) == ("failed", "rate_limited")
    ended, again = (datetime.fromisoformat(closed[key]) for key in ("finished_at", "retry_at"))
    assert again - ended == timedelta(seconds=3000)
