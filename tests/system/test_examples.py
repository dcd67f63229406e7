"""The running gateway accepts and returns the examples of the OpenAPI document."""

import json
import re
from typing import Any

import pytest_asyncio

from tests.conformance.simulated import Admin
from tests.system.conftest import NewPerson
from tests.system.person import PASSWORD, Person, credentials
from tests.system.routes import document
from tests.system.vault import Vault
from tests.system.watching import CONFIG, Watched, perm

ROW = '{"ccy": "USDT", "eq": "1834.317093622894", "eqUsd": "1834.31"}'
SHORT = {"fault": "replaced", "field": "data", "text": f'[{{"totalEq": "", "details": [{ROW}]}}]'}
LATE = {"fault": "latency", "seconds": 1.0}
UNREADABLE = {"fault": "replaced", "field": "bal", "text": '"a lot"'}
ID, TIME, DAY, EMAIL, TOKEN = (
    re.compile(pattern)
    for pattern in (
        r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)",
        r"(?<=\")\d{4}-\d\d-\d\d(?=\")",
        r"[\w.-]+@example\.com",
        r'_token": "[^"]+"',
    )
)
PRICED = ("price", "value_usd")
Examples = dict[str, Any]


@pytest_asyncio.fixture(name="examples")
async def _examples(person: Person) -> Examples:
    told = (await document(person.client))["components"]["examples"]
    return {name: each["value"] for name, each in told.items()}


def masked(value: Any) -> Any:
    """Return a body without the values that differ each time: ids, times, days, addresses and tokens."""
    text = ID.sub("ID", json.dumps(value))
    for pattern, name in (
        (TIME, "TIME"),
        (DAY, "DAY"),
        (EMAIL, "EMAIL"),
        (TOKEN, '_token": "TOKEN"'),
    ):
        text = pattern.sub(name, text)
    return unpriced(json.loads(text))


def unpriced(value: Any) -> Any:
    """Return a body without the prices of holdings, which are of the moment."""
    if isinstance(value, dict):
        priced = value.keys() >= {*PRICED}
        return {key: unpriced(each) for key, each in value.items() if not (priced and key in PRICED)}
    return [unpriced(each) for each in value] if isinstance(value, list) else value


class Answers:
    """Calls the API as one user, and collects the responses that differ from the examples."""

    def __init__(self, person: Person, examples: Examples) -> None:
        self.client, self.email, self._examples = person.client, person.email, examples
        self.other: dict[str, tuple[Any, Any]] = {}

    async def expect(self, name: str, method: str, path: str, body: object = None, **headers: str) -> Any:
        """Send a request whose response must match the example of this name."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        response = await self.client.request(method, path, json=body, headers=named)
        answer, example = masked(response.json()), masked(self._examples[name])
        if answer != example:
            self.other[name] = (answer, example)
        return response.json()


async def test_sessions_are_as_the_examples_say(person: Person, examples: Examples) -> None:
    """Registering, signing in, and the refusals."""
    api = Answers(person, examples)
    login = {"email": person.email, "password": PASSWORD}
    await api.expect("MeView.utc", "GET", "/me")
    await api.expect("changeMe.400.invalid_input", "PATCH", "/me", {"time_zone": "Europe/Atlantis"})
    moved = await api.client.patch("/me", json=examples["ChangeMe.berlin"])
    assert moved.json()["time_zone"] == "Europe/Berlin"
    await api.expect("UserView.me", "POST", "/auth/register", login | {"email": f"another-{person.email}"})
    await api.expect("register.409.email_taken", "POST", "/auth/register", login)
    await api.expect(
        "register.400.weak_password", "POST", "/auth/register", login | {"password": "password1"}
    )
    await api.expect("login.401.unauthorized", "POST", "/auth/login", login | {"password": "wrong horse"})
    await api.expect("TokenView.tokens", "POST", "/auth/login", login)
    unknown = examples["Refresh.token"]
    await api.expect("refresh.401.unauthorized", "POST", "/auth/refresh", unknown)
    await api.expect("deleteMe.403.wrong_password", "POST", "/me/deletion", {"password": "wrong horse"})
    changed = {"old_password": PASSWORD, "new_password": "password1"}
    await api.expect("changePassword.400.weak_password", "PUT", "/me/password", changed)
    session = (await api.client.get("/me/sessions")).json()[0]
    assert session.keys() == examples["listSessions.200.here_and_a_phone"][0].keys()
    del api.client.headers["Authorization"]
    await api.expect("problem.401.unauthorized", "GET", "/me")

    assert not api.other, json.dumps(api.other, indent=1)


async def test_connecting_is_as_the_examples_say(person: Person, examples: Examples) -> None:
    """The example of a request connects the simulated account; each refusal has the example's words."""
    api, request = Answers(person, examples), examples["Connect.okx"]
    account = await api.expect("connectAccount.201.connected", "POST", "/accounts", request)
    await api.expect("connectAccount.409.account_exists", "POST", "/accounts", request)
    elsewhere = request | {"region": "tr"}
    await api.expect("connectAccount.422.region_not_served", "POST", "/accounts", elsewhere)
    for name, code in (("trade-enabled", "over_privileged_key"), ("eea", "key_unknown")):
        wrong = request | {"credentials": credentials(name)}
        await api.expect(f"connectAccount.422.{code}", "POST", "/accounts", wrong)
    path = f"/accounts/{account['id']}"
    another = {"credentials": credentials("margin")}
    await api.expect("replaceCredentials.422.different_account", "PUT", f"{path}/credentials", another)
    await api.expect("changeAccount.400.invalid_input", "PATCH", path, {"name": ""})
    await api.expect("problem.400.invalid_input", "PATCH", path, {"name": 1})
    await api.expect("problem.404.not_found", "GET", "/accounts/019ac3f0-0000-7000-8000-000000000000")
    await api.expect("problem.415.unsupported_media_type", "PATCH", path, content_type="text/plain")
    given = request["credentials"]
    pasted = request | {"credentials": given | {"passphrase": f"{given['passphrase']} "}}
    assert (await api.client.delete(path)).status_code == 204
    await api.expect("connectAccount.201.trimmed", "POST", "/accounts", pasted)

    assert not api.other, json.dumps(api.other, indent=1)


async def test_syncs_are_as_the_examples_say(
    person: Person, examples: Examples, admin: Admin, vault_admin: Vault
) -> None:
    """The balances of the simulated account, a partial sync and a failed one."""
    api = Answers(person, examples)
    account = (await api.client.post("/accounts", json=examples["Connect.okx"])).json()
    path = f"/accounts/{account['id']}"
    await api.expect("HoldingsView.never_read", "GET", f"{path}/holdings")
    await admin.put("plain", "asset/balances", LATE)  # so that the second request joins the first sync
    await api.expect("syncAccount.202.queued", "POST", f"{path}/sync", Prefer="respond-async")
    await api.expect("SyncView.completed", "POST", f"{path}/sync", Idempotency_Key="once")
    await admin.clear("plain", "asset/balances")
    await api.expect(
        "syncAccount.422.idempotency_key_reused", "POST", "/accounts/sync-all", Idempotency_Key="once"
    )
    await api.expect("SyncPage.last_page", "GET", f"{path}/syncs")
    elsewhere = f"{path}/syncs?cursor={account['id']}"
    await api.expect("listSyncs.400.invalid_input", "GET", elsewhere)
    await api.expect("SyncDays.one_day", "GET", f"{path}/syncs/days")
    await api.expect("listSyncDays.400.invalid_input", "GET", f"{path}/syncs/days?from=2024-01-01")
    for name, noun in (("BalancesView.fresh", "balances"), ("HoldingsView.complete", "holdings")):
        await api.expect(name, "GET", f"{path}/{noun}")
    await api.expect("AccountView.synced", "GET", path)
    await api.expect("listAccounts.200.one", "GET", "/accounts")
    await api.expect("changeAccount.200.renamed", "PATCH", path, examples["ChangeAccount.savings"])
    await admin.put("plain", "asset/balances", UNREADABLE)
    await api.expect("SyncView.partial", "POST", f"{path}/sync")
    await admin.clear("plain", "asset/balances")
    await api.client.post(f"{path}/sync")
    await vault_admin.forget(await vault_admin.credential_of(account["id"]))
    await api.expect("SyncView.failed", "POST", f"{path}/sync")
    await api.expect("BalancesView.stale", "GET", f"{path}/balances")
    await api.client.patch(path, json={"name": account["name"]})
    await api.expect("AccountView.failed", "GET", path)

    assert not api.other, json.dumps(api.other, indent=1)


async def test_batches_are_as_the_examples_say(
    new_person: NewPerson, examples: Examples, vault_admin: Vault
) -> None:
    """Two accounts, one of which cannot be read."""
    api = Answers(await new_person(), examples)
    await api.client.post("/accounts", json=examples["Connect.okx"])
    await api.expect("syncAll.202.pending", "POST", "/accounts/sync-all", Prefer="respond-async")
    assert (await api.client.post("/accounts/sync-all")).json()["successful"] == 1
    margin = examples["Connect.okx"] | {"credentials": credentials("margin")}
    broken = (await api.client.post("/accounts", json=margin)).json()
    await vault_admin.forget(await vault_admin.credential_of(broken["id"]))
    await api.expect("BatchView.one_failed", "POST", "/accounts/sync-all")

    assert not api.other, json.dumps(api.other, indent=1)


async def test_a_pause_is_as_the_examples_say(watched: Watched, admin: Admin, examples: Examples) -> None:
    """The account that shows it, and the sync that is refused."""
    api = Answers(watched.person, examples)
    await api.client.patch(watched.path, json={"name": "My OKX"})
    await admin.put("plain", CONFIG, perm("read_only,trade"))
    assert (await watched.sync())["error_code"] == "over_privileged_key"
    await api.expect("AccountView.paused", "GET", watched.path)
    await api.expect("syncAccount.409.account_paused", "POST", f"{watched.path}/sync")

    assert not api.other, json.dumps(api.other, indent=1)


async def test_an_unconfirmed_loss_is_as_the_example_says(
    watched: Watched, admin: Admin, examples: Examples
) -> None:
    """A list that lacks assets, while the total cannot be read, stands beside the last confirmed one."""
    api = Answers(watched.person, examples)
    await admin.put("plain", "account/balance", SHORT)
    await admin.put("plain", "asset/asset-valuation", {"fault": "refusal", "code": "50011"})
    await watched.person.post(f"{watched.path}/sync", Prefer="wait=60")
    await api.expect("BalancesView.unconfirmed", "GET", f"{watched.path}/balances")

    assert not api.other, json.dumps(api.other, indent=1)


async def test_the_exchanges_are_as_the_example_says(person: Person, examples: Examples) -> None:
    """All but the addresses, which the operator sets."""
    listed = await person.get("/exchanges")
    shown = [each | {"egress_addresses": ["203.0.113.7"]} for each in listed if each["key"] == "okx"]
    assert shown == examples["listExchanges.200.okx"]


async def test_a_price_by_hand_is_as_the_examples_say(person: Person, examples: Examples) -> None:
    """An asset without a price, and the price that a user sets for it."""
    api = Answers(person, examples)
    await api.expect("showPrice.404.not_found", "GET", "/prices/HOUSE")
    await api.expect("PriceView.by_hand", "PUT", "/prices/HOUSE/manual", examples["SetPrice.quarter"])

    assert not api.other, json.dumps(api.other, indent=1)
