"""What a sync asks the exchange for, counted by the names of the reads, from end to end."""

from collections import Counter

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.system.person import Person
from tests.system.test_sweeper import run

USUAL = ("account_balance", "account_config", "account_positions", "asset_balances", "asset_valuation")
EARN = (
    *("dual_orders", "eth_staking", "savings_balance", "sol_staking", "stable_rewards", "staking_orders"),
    "flexible_loans",
)
AGED = "update account_wallets set as_of = now() - interval '361 minutes' where account_id = %s"


async def asked(stack: Stack) -> Counter[str]:
    """Return how often the worker has sent each read of an account."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{stack.operations('sync-worker')}/metrics")).text
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == "butler_exchange_call_seconds_count":
                counts[each.labels["read"]] += int(each.value)
    return counts


async def reads_of(stack: Stack, person: Person, account: str) -> tuple[set[str], str]:
    """Sync an account, and return what was read for it, and the verdict on its earn wallet.

    A read that OKX allows once a second may have been sent twice.
    """
    before = await asked(stack)
    sync = await person.post(f"/accounts/{account}/sync")
    assert sync["status"] == "completed"
    sent = await asked(stack) - before
    return sent.keys() & {*USUAL, *EARN}, sync["wallets"][2]["verdict"]


async def test_an_account_without_earn_products_reads_earn_every_six_hours(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """The other syncs make five reads in place of twelve, and complete."""
    account = (await person.connect("plain"))["id"]
    everything, usual = {*USUAL, *EARN}, {*USUAL}

    assert await reads_of(stack, person, account) == (everything, "complete")
    for _ in range(2):
        assert await reads_of(stack, person, account) == (usual, "not_due")
    await run(database, AGED, account)
    assert await reads_of(stack, person, account) == (everything, "complete")
    assert await reads_of(stack, person, account) == (usual, "not_due")


async def test_an_account_with_earn_products_reads_them_in_each_sync(
    stack: Stack, person: Person, database: Postgres
) -> None:
    """What was bought since the last sync is read at once, because the valuation shows it."""
    account = (await person.connect("earner"))["id"]
    everything = {*USUAL, *EARN}

    assert await reads_of(stack, person, account) == (everything, "complete")
    assert await reads_of(stack, person, account) == (everything, "complete")
    await run(database, "delete from balances where wallet = 'earn' and account_id = %s", account)
    assert await reads_of(stack, person, account) == (everything, "complete")
    earn = (await person.get(f"/accounts/{account}/balances"))["wallets"][2]
    assert {row["asset"] for row in earn["balances"]} == {"BTC", "USDT", "SOL", "BETH", "OKSOL"}
