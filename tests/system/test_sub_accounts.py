"""The sub-accounts of a master, from the setting to the portfolio: each is shown, and none counts twice."""

from decimal import Decimal
from typing import Any

from tests.conformance.simulated import Admin
from tests.system.person import Person, credentials
from tests.waiting import until

MASTER = {"USDT": Decimal("100.5"), "BTC": Decimal("0.25")}
SAVINGS = {"ETH": Decimal("2.000000000000000001"), "USDT": Decimal(10)}
TRADING = {"SOL": Decimal(3)}


async def accounts_of(person: Person) -> dict[str, Any]:
    """Return the accounts by name."""
    return {each["name"]: each for each in await person.get("/accounts")}


async def change(person: Person, account_id: str, status: int = 200, **changes: object) -> Any:
    """Change an account."""
    response = await person.client.patch(f"/accounts/{account_id}", json=changes)
    assert response.status_code == status, response.text
    return response.json()


async def synced(person: Person, account_id: str) -> Any:
    """Sync an account until it is complete, because the exchange limits the reads of one master."""
    found: dict[str, Any] = {}

    async def complete() -> bool:
        found.update(await person.post(f"/accounts/{account_id}/sync?fresh=true"))
        return bool(found["status"] == "completed")

    await until(complete)
    return found


async def held(person: Person) -> dict[str, Decimal]:
    """Return the quantities of the portfolio by asset."""
    portfolio = await person.get("/portfolio")
    return {each["asset"]: Decimal(each["quantity"]) for each in portfolio["assets"]}


def summed(*parts: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return the exact sums by asset."""
    assets = {asset for part in parts for asset in part}
    return {asset: sum((part[asset] for part in parts if asset in part), Decimal(0)) for asset in assets}


async def test_each_sub_account_is_shown_apart_and_counts_once(person: Person) -> None:
    """Also when it is connected with its own key; and without the setting, the master is alone."""
    master = await person.connect("master")
    assert master["sub_accounts"] is None
    changed = await change(person, master["id"], sub_accounts=True)
    assert changed["sub_accounts"]["listed_at"] is None
    await synced(person, master["id"])

    found = await accounts_of(person)
    assert set(found) == {"master", "savings1", "trading2"}
    assert found["master"]["sub_accounts"] | {"listed_at": None} == {
        "listed_at": None,
        "whole": True,
        "error_code": None,
        "words": None,
        "left_out": [],
    }
    shown = found["savings1"]
    assert (shown["sub_account_of"]["account_id"], shown["account_type"]) == (master["id"], "sub_account")
    for name in ("savings1", "trading2"):
        await synced(person, found[name]["id"])
    assert await held(person) == summed(MASTER, SAVINGS, TRADING)
    uncovered = (await person.get("/portfolio"))["uncovered"]
    assert {each["account_id"] for each in uncovered} == {found["savings1"]["id"], found["trading2"]["id"]}

    own = await person.connect("savings1")
    assert (own["id"], own["sub_account_of"]) == (shown["id"], None)
    await synced(person, own["id"])
    await synced(person, master["id"])
    assert await held(person) == summed(MASTER, SAVINGS, TRADING)
    assert set(await accounts_of(person)) == {"master", "savings1", "trading2"}
    problem = await change(person, own["id"], 400, sub_accounts=True)
    assert problem["code"] == "invalid_input"

    await change(person, master["id"], sub_accounts=False)
    assert set(await accounts_of(person)) == {"master", "savings1"}
    assert await held(person) == summed(MASTER, SAVINGS)
    await synced(person, master["id"])


async def test_a_sub_account_of_a_master_has_no_key_to_replace(person: Person) -> None:
    """Nor is it deleted alone; both answers name the master."""
    master = await person.connect("master")
    await change(person, master["id"], sub_accounts=True)
    await synced(person, master["id"])
    child = (await accounts_of(person))["trading2"]

    kept = await person.put(f"/accounts/{master['id']}/credentials", {"credentials": credentials("master")})
    assert kept["sub_accounts"]["whole"]
    response = await person.client.delete(f"/accounts/{child['id']}")
    body = {"credentials": {"api_key": "k", "api_secret": "s" * 32, "passphrase": "p"}}
    replaced = await person.put(f"/accounts/{child['id']}/credentials", body, 409)

    assert (response.status_code, response.json()["code"]) == (409, "sub_account_of_master")
    assert replaced["account_id"] == response.json()["account_id"] == master["id"]


async def test_a_refusal_of_one_list_or_of_one_sub_account_is_its_own(person: Person, admin: Admin) -> None:
    """The master and the other sub-account stay fresh, nothing is paused, and no account goes."""
    master = await person.connect("master")
    await change(person, master["id"], sub_accounts=True)
    await synced(person, master["id"])
    found = await accounts_of(person)

    await admin.put("master", "users/subaccount/list", {"fault": "refusal", "code": "50120"})
    listed = await synced(person, master["id"])
    refused = await person.post(f"/accounts/{found['trading2']['id']}/sync?fresh=true")
    await admin.clear("master", "users/subaccount/list")

    assert listed["status"] == "completed"
    assert refused["error_code"] == "permission_missing"
    shown = await accounts_of(person)
    assert set(shown) == {"master", "savings1", "trading2"}
    assert shown["master"]["sub_accounts"]["error_code"] == "permission_missing"
    assert [each["paused"] for each in shown.values()] == [None] * 3
    await synced(person, found["trading2"]["id"])
