"""The main job through HTTP on the whole real stack: connect, sync, read, repair, delete."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.system.person import SIMULATED, Person, credentials
from tests.system.vault import Vault
from tests.waiting import until

pytestmark = pytest.mark.cluster


def by_asset(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return rows by their asset."""
    return {row["asset"]: row for row in rows}


async def test_a_sync_answers_what_the_seed_promises(person: Person) -> None:
    """The outcome has at least account_id, success and holdings_count."""
    account = await person.connect("plain")

    answer = await person.post(f"/accounts/{account['id']}/sync")

    assert (answer["account_id"], answer["success"], answer["holdings_count"]) == (account["id"], True, 5)
    assert (answer["status"], answer["error"], answer["error_code"]) == ("completed", None, None)
    assert {wallet["wallet"]: wallet["verdict"] for wallet in answer["wallets"]} == {
        "trading": "complete",
        "funding": "complete",
        "earn": "complete",
    }
    assert await person.get(f"/syncs/{answer['sync_id']}") == answer


async def test_a_connected_account_shows_what_its_key_is(person: Person) -> None:
    """The API shows permissions, binding, kind of account and the end of the key, and no more of it."""
    account = await person.connect("plain")
    sub_account = await person.connect("sub-account")

    assert (account["permissions"], account["ip_bound"]) == (["read_only"], False)
    assert (account["account_type"], sub_account["account_type"]) == ("master", "sub_account")
    assert account["api_key_hint"] == SIMULATED["plain"].api_key[-4:]
    assert account["last_synced_at"] is None
    assert not set(credentials("plain").values()) & set(map(str, account.values()))


@pytest.mark.parametrize("name", ["plain", "margin", "rich", "empty", "eea"])
async def test_every_digit_arrives(person: Person, name: str) -> None:
    """The API shows each wallet as the exchange lists it, to the last digit."""
    simulated = SIMULATED[name]
    account = await person.connect(name)
    assert (await person.post(f"/accounts/{account['id']}/sync"))["success"] is True

    balances = await person.get(f"/accounts/{account['id']}/balances")

    wallets = {wallet["wallet"]: wallet for wallet in balances["wallets"]}
    trading = by_asset(wallets["trading"]["balances"])
    assert {asset: row["total"] for asset, row in trading.items()} == {
        row["ccy"]: row["eq"] for row in simulated.trading
    }
    assert {row["asset"]: row["total"] for row in wallets["funding"]["balances"]} == {
        row["ccy"]: row["bal"] for row in simulated.funding
    }
    assert {asset: row["borrowed"] or "" for asset, row in trading.items()} == {
        row["ccy"]: row.get("liab", "") for row in simulated.trading
    }
    assert (wallets["earn"]["state"], wallets["earn"]["balances"]) == ("fresh", [])


async def test_holdings_are_summed_over_wallets(person: Person) -> None:
    """An asset in two wallets is one holding that names both."""
    account = await person.connect("plain")
    await person.post(f"/accounts/{account['id']}/sync")

    holdings = await person.get(f"/accounts/{account['id']}/holdings")

    tether = by_asset(holdings["holdings"])["USDT"]
    assert Decimal(tether["total"]) == Decimal("1834.317093622894") + Decimal("250.75")
    assert tether["wallets"] == ["funding", "trading"]
    assert (holdings["complete"], holdings["missing_wallets"], len(holdings["holdings"])) == (True, [], 5)


async def test_an_account_never_synced_has_no_balances(person: Person) -> None:
    """Before the first sync balances are unknown, which differs from empty."""
    account = await person.connect("plain")

    holdings = await person.get(f"/accounts/{account['id']}/holdings")
    balances = await person.get(f"/accounts/{account['id']}/balances")

    assert (holdings["holdings"], holdings["complete"]) == (None, False)
    assert [wallet["balances"] for wallet in balances["wallets"]] == [None, None, None]


async def test_sync_all_answers_one_row_per_account(person: Person, vault_admin: Vault) -> None:
    """Totals add up and each account has its row, the failed one with its reason."""
    plain, margin, broken = [await person.connect(name) for name in ("plain", "margin", "empty")]
    await vault_admin.forget(await vault_admin.credential_of(broken["id"]))

    answer = await person.post("/accounts/sync-all")

    assert (answer["total"], answer["successful"], answer["failed"], answer["pending"]) == (3, 2, 1, 0)
    rows = {row["account_id"]: row for row in answer["results"]}
    assert rows.keys() == {plain["id"], margin["id"], broken["id"]}
    assert rows[broken["id"]]["success"] is False
    assert rows[broken["id"]]["error_code"] == "credential_missing"
    assert rows[broken["id"]]["error"]
    assert await person.get(f"/sync-batches/{answer['batch_id']}") == answer


async def test_sync_all_of_nothing_is_nothing(person: Person) -> None:
    """A user without accounts gets an empty batch."""
    answer = await person.post("/accounts/sync-all")

    assert (answer["total"], answer["successful"], answer["failed"], answer["results"]) == (0, 0, 0, [])


async def test_a_broken_account_says_what_to_do_and_is_repaired(person: Person, vault_admin: Vault) -> None:
    """The failed sync leaves the last good set as stale; another key of the same account repairs it."""
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}"
    await person.post(f"{path}/sync")
    synced = await person.get(path)
    await vault_admin.forget(await vault_admin.credential_of(account["id"]))

    failed = await person.post(f"{path}/sync")
    shown = await person.get(path)
    stale = await person.get(f"{path}/balances")
    assert (failed["success"], failed["holdings_count"]) == (False, None)
    assert failed["error_code"] == "credential_missing"
    assert (shown["last_synced_at"], shown["last_attempt_at"] > synced["last_attempt_at"]) == (
        synced["last_synced_at"],
        True,
    )
    assert (shown["last_error_code"], bool(shown["next_action"])) == ("credential_missing", True)
    assert {wallet["state"] for wallet in stale["wallets"]} == {"stale"}
    assert len(by_asset(stale["wallets"][0]["balances"])) == 3
    assert (await person.get(f"{path}/holdings"))["complete"] is False

    repaired = await person.put(f"{path}/credentials", {"credentials": credentials("plain")})
    assert (repaired["id"], repaired["last_error_code"]) == (account["id"], None)
    assert (await person.post(f"{path}/sync"))["success"] is True
    assert (await person.get(f"{path}/holdings"))["complete"] is True


async def test_a_rotated_key_is_destroyed(person: Person, vault_admin: Vault) -> None:
    """After a rotation the vault holds the new credential only."""
    account = await person.connect("plain")
    old = await vault_admin.credential_of(account["id"])

    await person.put(f"/accounts/{account['id']}/credentials", {"credentials": credentials("plain")})

    new = await vault_admin.credential_of(account["id"])
    assert new != old
    await until(lambda: vault_admin.holds_exactly(new))


async def test_a_key_of_another_account_repairs_nothing(person: Person, vault_admin: Vault) -> None:
    """A repair needs a key of the same account of the exchange; the old key stays, the new one is deleted."""
    account = await person.connect("plain")
    credential = await vault_admin.credential_of(account["id"])

    problem = await person.put(
        f"/accounts/{account['id']}/credentials", {"credentials": credentials("margin")}, 422
    )

    assert problem["code"] == "different_account"
    await until(lambda: vault_admin.holds_exactly(credential))
    assert (await person.post(f"/accounts/{account['id']}/sync"))["success"] is True


async def test_a_deleted_account_is_gone_and_its_outcomes_stay(person: Person, vault_admin: Vault) -> None:
    """DELETE returns at once, the secret is deleted from the vault, and the audit says so only then."""
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}"
    sync = await person.post(f"{path}/sync")

    assert (await person.client.delete(path)).status_code == 204

    for gone in (path, f"{path}/balances", f"{path}/holdings", f"{path}/syncs"):
        await person.get(gone, 404)
    assert await person.get("/accounts") == []
    assert await person.get(f"/syncs/{sync['sync_id']}") == sync
    await until(vault_admin.holds_exactly)
    await until(lambda: vault_admin.audited("secret_destroyed"))


async def test_a_deleted_account_can_be_connected_again(person: Person) -> None:
    """A deleted account does not block a new one."""
    first = await person.connect("plain")
    await person.client.delete(f"/accounts/{first['id']}")

    again = await person.connect("plain")

    assert again["id"] != first["id"]


async def test_an_account_can_be_renamed(person: Person) -> None:
    """PATCH changes only the name."""
    account = await person.connect("plain")

    response = await person.client.patch(f"/accounts/{account['id']}", json={"name": " Savings "})

    assert response.json() == account | {"name": "Savings"}


async def test_what_is_read_while_it_changes_is_of_one_moment(person: Person) -> None:
    """While an account is synced and deleted, no reader sees a wallet as fresh without its balances."""
    account = await person.connect("rich")
    path = f"/accounts/{account['id']}"
    await person.post(f"{path}/sync")
    seen: list[dict[str, Any]] = []

    async def read() -> None:
        while (answer := await person.client.get(f"{path}/balances")).status_code != 404:
            seen.extend(answer.json()["wallets"])

    readers = [asyncio.create_task(read()) for _ in range(6)]
    await person.post(f"{path}/sync")
    assert (await person.client.delete(path)).status_code == 204
    await asyncio.gather(*readers)

    held = [wallet for wallet in seen if wallet["wallet"] != "earn"]
    assert [wallet for wallet in held if wallet["state"] == "fresh" and not wallet["balances"]] == []
    assert any(wallet["state"] == "fresh" for wallet in seen)
