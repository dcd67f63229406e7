"""What the API shows after a fault: the last good set, marked as stale; never a zero, never a guess."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.simulator.accounts import Accounts
from deploy.local.stack import Stack
from tests.conformance.simulated import FUNDING, KEEPER, POOR, TRADING, WEALTHY, Admin
from tests.conformance.table import BALANCE, damaged
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import passed, until

FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "an empty list": (damaged("replaced", "details", "[]"), "contradictory_total"),
    "data of a richer account": ({"fault": "foreign", "account": WEALTHY}, "contradictory_total"),
    "data of a poorer account": ({"fault": "foreign", "account": POOR}, "contradictory_total"),
    "a page": ({"fault": "page"}, "unexpected_response"),
    "NaN": (damaged("replaced", "eq", '"NaN"'), "unexpected_response"),
    "a storm": ({"fault": "refusal", "code": "50011", "retry_after": 3600}, "rate_limited"),
    "maintenance": ({"fault": "refusal", "code": "50001"}, "exchange_unavailable"),
    "a deleted key": ({"fault": "refusal", "code": "50119"}, "key_unknown"),
    "no permission": ({"fault": "refusal", "code": "50120"}, "permission_missing"),
}


@pytest_asyncio.fixture(name="person", scope="module")
async def _person(troubled_stack: Stack, accounts: Accounts) -> AsyncIterator[Person]:
    base = f"{troubled_stack.api}/api/v1"
    async with httpx.AsyncClient(base_url=base, timeout=CALL_SECONDS, trust_env=False) as client:
        person = Person(client, accounts)
        await person.sign_up()
        yield person


@pytest_asyncio.fixture(name="path", scope="module")
async def _path(person: Person, admin: Admin) -> str:
    """Connect an account that was never read, because its first sync met a fault."""
    account = await person.connect(KEEPER)
    path = f"/accounts/{account['id']}"
    await admin.put(KEEPER, BALANCE, {"fault": "page"})
    await person.post(f"{path}/sync")
    await admin.clear(KEEPER, BALANCE)
    return path


async def wallets(person: Person, path: str) -> dict[str, Any]:
    """Give what is shown of each wallet."""
    return {each["wallet"]: each for each in (await person.get(f"{path}/balances"))["wallets"]}


async def test_a_wallet_that_was_never_read_is_null(person: Person, path: str) -> None:
    """The other wallet is there; of this one nothing is, and the sums say so."""
    shown = await wallets(person, path)
    holdings = await person.get(f"{path}/holdings")

    assert (shown["trading"]["state"], shown["trading"]["balances"]) == ("never_read", None)
    assert (shown["trading"]["as_of"], shown["trading"]["error_code"]) == (None, "unexpected_response")
    assert shown["funding"]["state"] == "fresh"
    assert {row["asset"]: row["total"] for row in shown["funding"]["balances"]} == FUNDING
    assert (holdings["complete"], holdings["missing_wallets"]) == (False, ["trading"])
    assert (await person.get(path))["last_synced_at"] is None


@pytest.mark.parametrize(("fault", "code"), FAULTS.values(), ids=FAULTS)
async def test_the_last_good_set_stays_and_is_marked(
    person: Person, path: str, admin: Admin, fault: dict[str, Any], code: str
) -> None:
    """After a fault the wallet shows what was last read, and why it is stale; then it is fresh."""
    assert (await person.post(f"{path}/sync"))["success"] is True
    good, account = await wallets(person, path), await person.get(path)
    await admin.put(KEEPER, BALANCE, fault)
    await until(passed(1.0))  # of the totals one call a second is allowed

    sync = await person.post(f"{path}/sync", Prefer="wait=60")
    await admin.clear(KEEPER, BALANCE)
    shown, after = await wallets(person, path), await person.get(path)
    holdings = await person.get(f"{path}/holdings")

    assert (sync["success"], sync["status"], sync["error_code"]) == (False, "partial", code)
    assert {row["asset"]: row["total"] for row in good["trading"]["balances"]} == TRADING
    marks = {"state": "stale", "error_code": code, "error": shown["trading"]["error"]}
    assert shown["trading"] == good["trading"] | marks
    assert shown["funding"]["state"] == "fresh"
    assert shown["funding"]["as_of"] > good["funding"]["as_of"]
    assert (holdings["complete"], holdings["stale_wallets"]) == (False, ["trading"])
    assert after["last_synced_at"] == account["last_synced_at"]
    assert (after["last_error_code"], bool(after["next_action"])) == (code, True)
