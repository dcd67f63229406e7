"""The gateway accepts only its own tokens, whatever an attacker makes of one (R-23)."""

from collections.abc import Mapping

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.local.stack import Stack
from tests.system.conftest import NewPerson
from tests.system.forging import BY_CLAIM, BY_FORM, BY_SIGNATURE, Forger, Forgery


class Door:
    """The authentication, tried with tokens of all kinds."""

    def __init__(self, client: httpx.AsyncClient, forger: Forger, refresh_token: str) -> None:
        self.forger, self.refresh_token = forger, refresh_token
        self._client = client

    async def knock(
        self, authorization: str | None, query: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Ask for the signed-in user."""
        headers = {} if authorization is None else {"Authorization": authorization}
        return await self._client.get("/me", headers=headers, params=query)

    async def closed_to(self, answer: httpx.Response) -> bool:
        """Return whether the response equals, byte for byte, the one without a token."""
        nobody = await self.knock(None)
        assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthorized")
        assert nobody.headers["www-authenticate"] == "Bearer"
        return answer.content == nobody.content and {**answer.headers, "date": ""} == {
            **nobody.headers,
            "date": "",
        }


@pytest_asyncio.fixture(name="door")
async def _door(stack: Stack, new_person: NewPerson) -> Door:
    person, other, gone = [await new_person() for _ in range(3)]
    assert (await gone.client.post("/auth/logout")).status_code == 204
    key = load_pem_private_key((stack.parts.directory / "keys" / "jwt.pem").read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    tokens = [str(each.tokens["access_token"]) for each in (person, other, gone)]
    refresh_token = str(person.tokens["refresh_token"])
    del person.client.headers["Authorization"]
    return Door(person.client, Forger(key, *tokens), refresh_token)


@pytest.mark.parametrize("forgeries", [BY_SIGNATURE, BY_CLAIM, BY_FORM], ids=["signature", "claim", "form"])
async def test_a_forged_token_opens_nothing(door: Door, forgeries: dict[str, Forgery]) -> None:
    """A forgery differs from a good token in one thing and is answered like a missing token."""
    wrong = {}
    for name, forge in forgeries.items():
        answer = await door.knock(f"Bearer {forge(door.forger)}".strip())
        if not await door.closed_to(answer):
            wrong[name] = (answer.status_code, answer.text)

    assert wrong == {}
    assert (await door.knock(f"Bearer {door.forger.good}")).is_success


async def test_a_forger_with_the_key_would_get_in(door: Door) -> None:
    """The forgeries fail because of that difference: without it the gateway accepts one."""
    assert (await door.knock(f"Bearer {door.forger.signed()}")).is_success


async def test_a_token_counts_in_its_place_only(door: Door) -> None:
    """A token under another scheme, in the query string, or of the refresh kind is not accepted."""
    good = door.forger.good
    for authorization in (
        good,
        f"Basic {good}",
        f"Token {good}",
        f"Bearer:{good}",
        f"Bearer {door.refresh_token}",
    ):
        assert await door.closed_to(await door.knock(authorization)), authorization[:10]
    for name in ("access_token", "token", "authorization"):
        assert await door.closed_to(await door.knock(None, {name: good})), name


async def test_the_name_of_the_scheme_has_no_case(door: Door) -> None:
    """`bearer` is the same scheme (RFC 9110 section 11.1)."""
    assert (await door.knock(f"bearer {door.forger.good}")).is_success
