"""The system stops using a key whose rights changed, or that belongs to another account."""

import pytest

from deploy.local.postgres import Postgres
from tests.conformance.simulated import Admin
from tests.system.person import credentials
from tests.system.test_sweeper import run
from tests.system.vault import Vault
from tests.system.watching import CONFIG, VERIFY_SECONDS, Watched, perm
from tests.waiting import until


async def test_a_key_that_learned_to_trade_is_paused_and_its_secret_destroyed_once_confirmed(
    watched: Watched, admin: Admin, vault_admin: Vault
) -> None:
    """No number of that sync is stored; the key signs no further request; another key repairs the account."""
    before = await watched.amounts()
    first = await vault_admin.credential_of(watched.id)
    await admin.put("plain", CONFIG, perm("read_only,trade"))

    sync = await watched.sync()

    assert (sync["status"], sync["error_code"]) == ("failed", "over_privileged_key")
    assert "trade" in sync["error"]
    reason = "over_privileged_key"
    assert await watched.amounts() == {name: ("stale", reason, held[2]) for name, held in before.items()}
    shown = await watched.shown()
    assert (shown["paused"]["reason"], shown["paused"]["secret_destroyed"]) == (reason, False)
    assert (await watched.event())[0] == "paused"
    problem = await watched.sync(409)
    assert (problem["code"], problem["reason"], problem["rights"]) == ("account_paused", reason, ["trade"])
    batch = await watched.person.post("/accounts/sync-all")
    assert (batch["total"], batch["failed"], batch["results"][0]["error_code"]) == (1, 1, reason)
    assert await vault_admin.holds_exactly(first)

    await watched.make_due()

    async def destroyed() -> bool:
        return bool((await watched.shown())["paused"]["secret_destroyed"])

    await until(destroyed, VERIFY_SECONDS)
    assert "PUT /credentials" in (await watched.shown())["next_action"]
    await until(lambda: vault_admin.audited("secret_destroyed"))
    assert (await watched.sync(409))["secret_destroyed"] is True

    await admin.clear("plain", CONFIG)
    repaired = await watched.person.put(f"{watched.path}/credentials", {"credentials": credentials("plain")})
    assert repaired["paused"] is None
    assert (await watched.event())[0] == "resumed"
    assert (await watched.sync())["status"] == "completed"
    assert await vault_admin.holds_exactly(await vault_admin.credential_of(watched.id))


async def test_a_pause_ends_by_itself_within_a_minute(watched: Watched, admin: Admin) -> None:
    """One odd response of the exchange costs a minute, without any help."""
    await admin.put("plain", CONFIG, perm("read_only,withdraw") | {"times": 1})
    assert (await watched.sync())["error_code"] == "over_privileged_key"

    async def resumed() -> bool:
        return (await watched.shown())["paused"] is None

    await until(resumed, 60)

    assert [(await watched.event())[0] for _ in range(2)] == ["paused", "resumed"]
    assert (await watched.sync())["status"] == "completed"


async def test_the_list_of_another_account_is_caught_by_its_uid(
    watched: Watched, admin: Admin, vault_admin: Vault
) -> None:
    """Although its totals fit, none of its numbers is stored; and no verification destroys the key."""
    before, first = await watched.amounts(), await vault_admin.credential_of(watched.id)
    for endpoint in (CONFIG, "account/balance", "asset/balances", "asset/asset-valuation"):
        await admin.put("plain", endpoint, {"fault": "foreign", "account": "margin"})

    sync = await watched.sync()

    assert (sync["status"], sync["error_code"], sync["holdings_count"]) == ("failed", "other_account", None)
    held = {name: balances for name, (_, _, balances) in (await watched.amounts()).items()}
    assert held == {name: balances for name, (_, _, balances) in before.items()}
    for _ in range(2):
        await watched.verified()
        assert (await watched.shown())["paused"]["reason"] == "other_account"
    assert await vault_admin.holds_exactly(first)
    assert await vault_admin.credential_of(watched.id) == first


@pytest.mark.parametrize("text", ["read_only,lend", "read_only,tr\u0430de", "read_only,two words"])
async def test_a_right_that_is_not_known_pauses_and_is_named(
    watched: Watched, admin: Admin, vault_admin: Vault, text: str
) -> None:
    """Also a right whose name no message carries; it never destroys the secret."""
    first = await vault_admin.credential_of(watched.id)
    await admin.put("plain", CONFIG, perm(text))

    assert (await watched.sync())["error_code"] == "unknown_right"

    named = "lend" if text.endswith("lend") else "unreadable-right"
    for _ in range(2):
        await watched.verified()
        shown = (await watched.shown())["paused"]
        assert (shown["reason"], shown["rights"]) == ("unknown_right", [named])
    assert await vault_admin.holds_exactly(first)


async def test_rights_that_can_not_be_read_are_read_again(watched: Watched, admin: Admin) -> None:
    """The exchange's limit for them is low: they are retried like a wallet, and then proven."""
    await admin.put("plain", CONFIG, {"fault": "refusal", "code": "50011", "times": 1})

    sync = await watched.sync()

    assert (sync["status"], sync["rights_unproven"]) == ("completed", False)
    assert await admin.struck("plain", CONFIG) == 1


async def test_rights_that_stay_away_leave_the_numbers_and_say_so(watched: Watched, admin: Admin) -> None:
    """The status follows from the wallets."""
    await admin.put("plain", CONFIG, {"fault": "page"})

    sync = await watched.sync()

    assert (sync["status"], sync["success"], sync["rights_unproven"]) == ("completed", True, True)
    assert (await watched.person.get(f"/syncs/{sync['sync_id']}"))["rights_unproven"] is True
    assert (await watched.shown())["paused"] is None


async def test_a_verification_that_fails_keeps_the_pause(watched: Watched, admin: Admin) -> None:
    """The exchange is away: nothing is known, so the pause stays and the secret, too."""
    await admin.put("plain", CONFIG, perm("trade") | {"times": 1})
    await watched.sync()
    await admin.put("plain", CONFIG, {"fault": "page"})
    await watched.make_due()

    async def asked() -> bool:
        return await admin.struck("plain", CONFIG) > 0

    await until(asked, VERIFY_SECONDS)
    shown = (await watched.shown())["paused"]
    assert (shown["reason"], shown["secret_destroyed"]) == ("over_privileged_key", False)


async def test_what_the_old_key_could_do_does_not_pause_the_new_one(watched: Watched, admin: Admin) -> None:
    """The outcome of a sync with the replaced key comes after the replacement."""
    await admin.put("plain", CONFIG, perm("read_only,trade") | {"times": 1})
    await admin.put("plain", "account/balance", {"fault": "latency", "seconds": 4, "times": 1})
    path = f"{watched.path}/sync"
    sync = await watched.person.post(path, status=202, Prefer="respond-async")

    async def read() -> bool:
        return await admin.struck("plain", CONFIG) == 1

    await until(read)
    await watched.person.put(f"{watched.path}/credentials", {"credentials": credentials("plain")})

    async def ended() -> bool:
        return bool((await watched.person.get(f"/syncs/{sync['sync_id']}"))["status"] != "queued")

    await until(ended)
    assert (await watched.person.get(f"/syncs/{sync['sync_id']}"))["error_code"] == "over_privileged_key"
    assert (await watched.shown())["paused"] is None
    assert (await watched.sync())["status"] == "completed"


async def test_an_account_is_deleted_while_its_key_is_verified(
    watched: Watched, admin: Admin, vault_admin: Vault, database: Postgres
) -> None:
    """The account is deleted at once, its secret soon, and the verification changes nothing."""
    await admin.put("plain", CONFIG, perm("trade") | {"times": 1})
    await watched.sync()
    await admin.put("plain", CONFIG, {"fault": "latency", "seconds": 4})
    await watched.make_due()

    async def asked() -> bool:
        return await admin.struck("plain", CONFIG) > 0

    await until(asked, VERIFY_SECONDS)
    assert (await watched.person.client.delete(watched.path)).status_code == 204

    await until(vault_admin.holds_exactly)
    assert await run(database, "select 1 from account_pauses") == []
    assert [kind for kind, _ in [await watched.event()]] == ["paused"]
