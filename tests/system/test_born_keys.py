"""An account of Binance whose key was born in the vault, from the offer to the last trace of the key."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.local.stack import Stack
from tests.system.conftest import NewPerson
from tests.system.person import Person
from tests.system.vault import Vault
from tests.waiting import until

OFFER = {"exchange": "binance", "region": "global"}
KEYS = "select id from key_offers where ended_at is null"
ACCOUNT = "plain"
PUT_TOO_MUCH = {"enableSpotAndMarginTrading": True}


async def uploaded(stack: Stack, offer: dict[str, Any], **rights: bool) -> str:
    """Give the simulated exchange the public key of an offer, and return the API key that it shows."""
    simulator = stack.parts.simulator
    assert simulator is not None
    async with httpx.AsyncClient(base_url=str(simulator.admin), trust_env=False) as client:
        body = {"public_key": offer["public_key"], "rights": rights}
        answer = await client.put(f"/uploads/binance/{ACCOUNT}", json=body)
        return str(answer.raise_for_status().json()["api_key"])


def connecting(offer: dict[str, Any], api_key: str) -> dict[str, Any]:
    """Return the body that connects an account with the key of an offer."""
    return {**OFFER, "name": "born", "offer": offer["offer"], "credentials": {"api_key": api_key}}


async def test_an_account_is_read_with_a_key_that_never_was_elsewhere(
    person: Person, stack: Stack, vault_admin: Vault
) -> None:
    """The key of the offer signs; the account shows its facts; deleting the account destroys the key."""
    offer = await person.post("/key-offers", OFFER, 201)
    assert [each["offer"] for each in await person.get("/key-offers")] == [offer["offer"]]
    assert (await person.get(f"/key-offers/{offer['offer']}"))["public_key"] == offer["public_key"]
    api_key = await uploaded(stack, offer)

    account = await person.post("/accounts", connecting(offer, api_key), 201)

    assert account["key"]["kind"] == "born"
    assert (account["key"]["born"], account["key"]["fingerprint"]) == (True, offer["fingerprint"])
    assert account["key"]["created_at"] is not None
    assert await person.get("/key-offers") == []
    assert (await person.get(f"/key-offers/{offer['offer']}", 410))["code"] == "offer_over"
    sync = await person.post(f"/accounts/{account['id']}/sync", None, 200, Prefer="wait=30")
    assert sync["status"] in {"completed", "partial"}, sync
    assert (await person.get(f"/accounts/{account['id']}/balances"))["wallets"]
    credential = await vault_admin.credential_of(account["id"])
    kept = (UUID(offer["offer"]), credential)
    assert [await vault_admin.has_parts(each) for each in kept] == [True, True]

    assert (await person.client.delete(f"/accounts/{account['id']}")).status_code == httpx.codes.NO_CONTENT

    assert await vault_admin.rows(KEYS) == []
    await vault_admin.rows("update credentials set destroy_at = now() where state = 'doomed' returning id")

    async def gone() -> bool:
        return not any([await vault_admin.has_parts(each) for each in kept])

    await until(gone)


async def test_a_key_with_a_further_right_is_corrected_at_the_exchange(person: Person, stack: Stack) -> None:
    """The refusal names the right and the open offer; the same request connects when the right is gone."""
    offer = await person.post("/key-offers", OFFER, 201)
    wrong = await person.post("/accounts", connecting(offer, "x" * 64), 422)
    api_key = await uploaded(stack, offer, **PUT_TOO_MUCH)
    refused = await person.post("/accounts", connecting(offer, api_key), 422)
    assert (refused["code"], refused["rights"]) == (
        "over_privileged_key",
        ["enableSpotAndMarginTrading"],
    )
    assert all("offer stays open" in each["detail"] for each in (wrong, refused))
    assert await uploaded(stack, offer, enableSpotAndMarginTrading=False) == api_key

    account = await person.post("/accounts", connecting(offer, api_key), 201)

    again = await person.post("/key-offers", OFFER, 201)
    other = {"offer": again["offer"], "credentials": {"api_key": await uploaded(stack, again)}}
    replaced = await person.put(f"/accounts/{account['id']}/credentials", other)
    assert replaced["key"]["fingerprint"] == again["fingerprint"] != offer["fingerprint"]


async def test_an_offer_is_its_user_s_and_for_its_exchange(new_person: NewPerson) -> None:
    """Another user's is not found, an exchange without a born kind gets words, and given up is gone."""
    mine, other = await new_person(), await new_person()
    offer = await mine.post("/key-offers", OFFER, 201)
    path = f"/key-offers/{offer['offer']}"
    assert (await other.get(path, 404))["code"] == "not_found"
    assert (await other.client.delete(path)).status_code == httpx.codes.NOT_FOUND
    assert (await other.post("/accounts", connecting(offer, "k"), 404))["code"] == "not_found"
    problem = await mine.post("/key-offers", {"exchange": "okx", "region": "global"}, 400)
    assert "we made no offer" in problem["detail"]
    problem = await mine.post("/key-offers", {"exchange": "binance", "region": "us"}, 422)
    assert problem["code"] == "region_not_served"
    assert problem["detail"].endswith("No key was offered.")
    problem = await mine.post("/accounts", {**connecting(offer, "k"), "region": "us"}, 422)
    assert problem["code"] == "region_not_served"
    assert problem["detail"].endswith("Your key offer stays open until it expires.")
    problem = await mine.post("/key-offers", {"exchange": "binance", "region": "nowhere"}, 400)
    assert problem["errors"][0]["field"] == "region"
    assert "Submit" not in problem["detail"]
    okx = {**connecting(offer, "k"), "exchange": "okx"}
    assert (await mine.post("/accounts", okx, 400))["errors"][0]["field"] == "offer"
    assert (await mine.client.delete(path)).status_code == httpx.codes.NO_CONTENT
    assert (await mine.get(path, 404))["code"] == "not_found"


async def test_a_private_key_is_refused_with_the_way_to_a_born_one(person: Person) -> None:
    """No private key reaches the vault, and an RSA key gets the reason."""
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    body = {**OFFER, "name": "x", "credentials": {"api_key": "k", "api_secret": rsa.decode()}}

    problem = await person.post("/accounts", body, 400)

    assert "RSA" in problem["detail"]
    assert "POST /api/v1/key-offers" in problem["detail"]
    assert problem["errors"][0]["field"] == "credentials.api_secret"
    assert "PRIVATE" not in problem["detail"]


@pytest.mark.parametrize("kinds", [("born", "hmac")])
async def test_the_kinds_of_keys_are_listed_in_order(person: Person, kinds: tuple[str, ...]) -> None:
    """The best kind first, with fields and steps; older clients find the fields of the typed one."""
    (binance,) = [each for each in await person.get("/exchanges") if each["key"] == "binance"]

    assert tuple(kind["key"] for kind in binance["credential_kinds"]) == kinds
    assert all(kind["steps"] for kind in binance["credential_kinds"])
    assert [field["key"] for field in binance["credential_fields"]] == ["api_key", "api_secret"]
