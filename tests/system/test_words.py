"""On the running system, a user whose key is refused reads what happened to it and what to do now."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts.remedies import DELETED, NOT_STORED, ROUTES, Situation
from tests.conformance.simulated import Admin
from tests.system.person import SIMULATED, Person, credentials
from tests.system.vault import Vault
from tests.waiting import until

CONFIG = "account/config"
STRUCK = "sub-account"
UNTRUE = ("next sync", "sync again", "are safe", "nothing to do", "we keep")


def refusal(code: str) -> dict[str, Any]:
    """Have the exchange answer with an error code."""
    return {"fault": "refusal", "code": code}


# A proxy in front of the exchange answers with pages; an unlisted code takes the place of 0.
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "limit": (refusal("50011"), "rate_limited"),
    "busy": (refusal("50013"), "exchange_unavailable"),
    "system error": (refusal("50026"), "exchange_unavailable"),
    "maintenance": (refusal("50001"), "exchange_unavailable"),
    "limit of the network in front": ({"fault": "page", "status": 429}, "rate_limited"),
    "bad gateway": ({"fault": "page", "status": 502}, "exchange_unavailable"),
    "firewall": ({"fault": "page", "status": 403}, "exchange_unreachable"),
    "unlisted": ({"fault": "replaced", "field": "code", "text": '"59999"'}, "exchange_error"),
    "signature": (refusal("50113"), "signature_rejected"),
    "frozen": (refusal("50100"), "account_blocked"),
    "permission": (refusal("50120"), "permission_missing"),
    "place": (refusal("50121"), "region_blocked"),
}


@pytest_asyncio.fixture(name="strike")
async def _strike(admin: Admin) -> AsyncIterator[Admin]:
    """Yield the admin port, and reset the exchange after the test."""
    yield admin
    await admin.clear(STRUCK, CONFIG)


def submission(name: str, **changed: str) -> dict[str, Any]:
    """Return the body that connects a simulated account."""
    region = changed.pop("region", SIMULATED[name].region)
    return {"exchange": "okx", "name": name, "region": region, "credentials": credentials(name) | changed}


def told(answer: httpx.Response, situation: Situation) -> str:
    """Return the words of a refusal, after checking that they fit this request."""
    detail: str = answer.json()["detail"]
    (other,) = {Situation.CONNECT, Situation.REPLACE} - {situation}
    assert DELETED[situation] in detail
    assert ROUTES[situation] in detail
    assert ROUTES[other] not in detail
    assert not [words for words in UNTRUE if words in detail.lower()]
    return detail


@pytest.mark.parametrize(("fault", "code"), FAULTS.values(), ids=FAULTS)
async def test_a_key_that_is_refused_at_connect_is_said_to_be_deleted(
    person: Person, vault_admin: Vault, strike: Admin, fault: dict[str, Any], code: str
) -> None:
    """No account exists and the vault is empty, so the words speak of neither; the same applies to a PUT."""
    account = await person.connect("plain")
    live = await vault_admin.credential_of(account["id"])
    await strike.put(STRUCK, CONFIG, fault)

    connecting = await person.client.post("/accounts", json=submission(STRUCK))
    path = f"/accounts/{account['id']}/credentials"
    replacing = await person.client.put(path, json={"credentials": credentials(STRUCK)})

    assert (connecting.json()["code"], replacing.json()["code"]) == (code, code)
    assert told(connecting, Situation.CONNECT) != told(replacing, Situation.REPLACE)
    assert [each["id"] for each in await person.get("/accounts")] == [account["id"]]
    await until(lambda: vault_admin.holds_exactly(live))


@pytest.mark.parametrize("edge", ["\n", "\u00a0", "\u200b", "\ufeff"], ids=ascii)
async def test_pasted_edges_are_trimmed_and_said(person: Person, edge: str) -> None:
    """A key that was copied with a line end works; the responses to POST and PUT name the trimmed fields."""
    pasted = {field: f" {text}{edge}" for field, text in credentials("plain").items()}

    account = await person.post("/accounts", submission("plain") | {"credentials": pasted}, 201)
    path = f"/accounts/{account['id']}"
    replaced = await person.put(f"{path}/credentials", {"credentials": pasted})

    for answer in (account, replaced):
        assert [field for field in pasted for note in answer["notes"] if field in note] == list(pasted)
        assert not [text for text in credentials("plain").values() if text in str(answer["notes"])]
    assert (await person.post(f"{path}/sync"))["success"] is True
    assert (await person.get(path))["notes"] == []


@pytest.mark.parametrize(
    ("changed", "status", "code", "says"),
    [
        ({"passphrase": "Geheim-\u00fc1"}, 400, "invalid_input", "The passphrase holds a character"),
        ({"api_key": "\u0430bc"}, 400, "invalid_input", "The api_key holds a character"),
        ({"api_secret": " \u200b\n"}, 400, "invalid_input", "The api_secret is empty"),
        ({"region": "tr"}, 422, "region_not_served", "OKX T\u00fcrkiye (tr.okx.com)"),
        ({"region": "mars"}, 400, "invalid_input", "We do not know this region of OKX"),
    ],
)
async def test_what_can_not_be_used_is_not_stored_and_named(
    person: Person, vault_admin: Vault, changed: dict[str, str], status: int, code: str, says: str
) -> None:
    """The words name the field or the region, and no credential was stored."""
    problem = await person.post("/accounts", submission("plain", **changed), status)

    assert problem["code"] == code
    assert says in problem["detail"]
    assert NOT_STORED[Situation.CONNECT] in problem["detail"]
    assert await vault_admin.rows("select 1 from credentials") == []


async def test_a_key_of_another_account_is_deleted_and_the_old_one_stays(person: Person) -> None:
    """The words of a repair with a wrong key say what happened to both keys."""
    account = await person.connect("plain")
    path = f"/accounts/{account['id']}/credentials"

    problem = await person.put(path, {"credentials": credentials("margin")}, 422)

    assert problem["code"] == "different_account"
    assert DELETED[Situation.REPLACE] in problem["detail"]


async def test_an_account_that_is_connected_already_names_the_place_of_its_key(person: Person) -> None:
    """The second key is deleted; the words name the address where it can replace the first."""
    account = await person.connect("plain")

    problem = await person.connect("plain", 409)

    assert DELETED[Situation.CONNECT] in problem["detail"]
    assert f"PUT /api/v1/accounts/{account['id']}/credentials" in problem["detail"]


async def test_regions_that_are_not_served_are_listed_apart(person: Person) -> None:
    """A program that lists `regions` offers only those that can be connected."""
    (okx,) = [each for each in await person.get("/exchanges") if each["key"] == "okx"]

    assert "tr" in [region["key"] for region in okx["unserved_regions"]]
    assert "tr" not in [region["key"] for region in okx["regions"]]
