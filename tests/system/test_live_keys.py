"""Gateways of a running system whose JWT key is rotated: sessions go on at each of them."""

from pathlib import Path

import httpx

from deploy.local.stack import Stack
from deploy.signing_keys import new_key
from tests.system.gateways import another_gateway
from tests.system.person import CALL_SECONDS, PASSWORD, Person
from tests.waiting import IN_THE_CLEAR


async def test_a_session_goes_on_at_gateways_that_sign_with_different_keys(
    stack: Stack, person: Person, tmp_path: Path
) -> None:
    """Each accepts tokens of the other, a repeated refresh gets one successor, and both tell both keys."""
    old, new = (stack.parts.directory / "keys" / "jwt.pem").read_bytes(), new_key()
    learned, signing = tmp_path / "learned.pem", tmp_path / "signing.pem"
    learned.write_bytes(old + new)
    signing.write_bytes(new + old)
    login = {"email": person.email, "password": PASSWORD}
    async with (
        another_gateway(stack, JWT_PRIVATE_KEY_FILE=str(learned)) as first,
        another_gateway(stack, JWT_PRIVATE_KEY_FILE=str(signing)) as second,
        httpx.AsyncClient(verify=IN_THE_CLEAR, timeout=CALL_SECONDS, trust_env=False) as client,
    ):
        both = (first, second)
        begun = [(await client.post(f"{each}/api/v1/auth/login", json=login)).json() for each in both]
        for tokens in (*begun, person.tokens):
            headers = {"Authorization": f"Bearer {tokens['access_token']}"}
            assert all([(await client.get(f"{each}/api/v1/me", headers=headers)).is_success for each in both])
        refresh = {"refresh_token": begun[0]["refresh_token"]}
        answers = [
            (await client.post(f"{each}/api/v1/auth/refresh", json=refresh)).raise_for_status().json()
            for each in (second, first, second)
        ]
        sets = [(await client.get(f"{each}/.well-known/jwks.json")).json()["keys"] for each in both]

    headers = {"Authorization": f"Bearer {begun[0]['access_token']}"}
    assert (await person.client.get("/me", headers=headers)).is_success, "a gateway that knows only the old"
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert sets[0] == sets[1][::-1]
    assert sets[0] != sets[1]
