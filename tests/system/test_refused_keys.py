"""A refused key gets its reason, and leaves no data."""

import pytest

from tests.system.conftest import Hold, NewPerson
from tests.system.person import Person
from tests.system.vault import Vault
from tests.waiting import until

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("name", "changed", "status", "code", "says"),
    [
        ("trade-enabled", {}, 422, "over_privileged_key", "trade"),
        ("withdraw-enabled", {}, 422, "over_privileged_key", "withdraw"),
        ("ip-bound", {}, 422, "ip_not_allowed", "allow-list"),
        ("plain", {"api_secret": "0" * 32}, 422, "signature_rejected", "secret"),
        ("plain", {"passphrase": "wrong"}, 422, "passphrase_wrong", "passphrase"),
        ("plain", {"api_key": "00000000-0000-4000-8000-000000000000"}, 422, "key_unknown", "eea"),
        ("plain", {"region": "us"}, 422, "key_unknown", "global"),
    ],
)
async def test_a_refused_key_leaves_nothing_behind(
    person: Person,
    vault_admin: Vault,
    name: str,
    changed: dict[str, str],
    status: int,
    code: str,
    says: str,
) -> None:
    """The response names the reason; afterwards neither vault nor table has the credential."""
    problem = await person.connect(name, status, **changed)

    assert problem["code"] == code
    assert says in problem["detail"]
    assert await person.get("/accounts") == []
    await until(vault_admin.holds_exactly)
    assert await vault_admin.audited("credential_refused")
    assert await vault_admin.audited("secret_destroyed")


async def test_an_account_connected_twice_is_named(person: Person, vault_admin: Vault) -> None:
    """The second submission of an account is a conflict with the existing id, and its key is deleted."""
    account = await person.connect("plain")

    problem = await person.connect("plain", 409)

    assert (problem["code"], problem["account_id"]) == ("account_exists", account["id"])
    credential = await vault_admin.credential_of(account["id"])
    await until(lambda: vault_admin.holds_exactly(credential))


async def test_two_users_may_connect_the_same_account(new_person: NewPerson) -> None:
    """The same account of the exchange twice is a conflict for one user only."""
    first, second = await new_person(), await new_person()

    assert (await first.connect("plain"))["id"] != (await second.connect("plain"))["id"]


@pytest.mark.parametrize(
    "changed",
    [
        {"exchange": "nowhere"},
        {"region": "mars"},
        {"name": " "},
        {"name": "x" * 65},
        {"credentials": {"api_key": "k", "api_secret": "s" * 32}},
        {"credentials": {"api_key": "k", "api_secret": 32, "passphrase": "p"}},
        {"credentials": {"api_key": "k\r\nX: 1", "api_secret": "s" * 32, "passphrase": "p"}},
        {"credentials": {"api_key": "", "api_secret": "s" * 32, "passphrase": "p"}},
        {"credentials": {"api_key": "k", "api_secret": "canary", "passphrase": "p"}},
        {"credentials": {"api_key": "k", "api_secret": "s" * 257, "passphrase": "p"}},
        {"surprise": 1},
    ],
)
async def test_bad_input_reaches_no_vault(
    person: Person, vault_admin: Vault, changed: dict[str, object]
) -> None:
    """A malformed submission is refused before it is stored, and its words repeat no credential."""
    submission = {
        "exchange": "okx",
        "name": "x",
        "region": "global",
        "credentials": {"api_key": "canary-k", "api_secret": "canary-" + "s" * 32, "passphrase": "canary-p"},
    }

    problem = await person.post("/accounts", submission | changed, 400)

    assert problem["code"] == "invalid_input"
    assert "canary" not in str(problem)
    assert await vault_admin.rows("select 1 from credentials") == []
    assert not await vault_admin.audited("credential_submitted")


async def test_what_belongs_to_others_looks_like_what_is_not_there(new_person: NewPerson) -> None:
    """Foreign, missing and unreadable ids get the same bytes."""
    owner, other = await new_person(), await new_person()
    account = await owner.connect("plain")
    sync = await owner.post(f"/accounts/{account['id']}/sync")
    batch = await owner.post("/accounts/sync-all")
    missing = "01a20bb2-cf15-70d2-b21f-28f16bee3299"
    reads = ["/accounts/{}", "/accounts/{}/balances", "/accounts/{}/holdings", "/accounts/{}/syncs"]
    foreign = [path.format(account["id"]) for path in reads]
    foreign += [f"/syncs/{sync['sync_id']}", f"/sync-batches/{batch['batch_id']}"]
    absent = [path.format(missing) for path in reads] + [f"/syncs/{missing}", "/syncs/not-an-id"]

    answers = [await other.client.get(path) for path in foreign + absent]
    answers.append(await other.client.post(f"/accounts/{account['id']}/sync"))
    answers.append(await other.client.delete(f"/accounts/{account['id']}"))
    answers.append(await other.client.patch(f"/accounts/{account['id']}", json={"name": "mine"}))

    assert {(answer.status_code, answer.content) for answer in answers} == {(404, answers[0].content)}
    assert (await owner.get(f"/accounts/{account['id']}"))["name"] == "plain"


async def test_a_store_that_arrives_late_leaves_nothing(
    person: Person, vault_admin: Vault, hold: Hold
) -> None:
    """A request that the broker handles after the gateway's timeout is not kept."""
    async with hold("vault-broker"):
        problem = await person.connect("sub-account", 503)

    assert problem["code"] == "signing_unavailable"
    await until(vault_admin.holds_exactly, seconds=40)
    assert await vault_admin.audited("secret_destroyed")
