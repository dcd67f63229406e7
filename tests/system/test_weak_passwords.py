"""The commonest passwords, and the user's own address, are refused with a reason."""

from uuid import uuid4

import httpx
import pytest

from deploy.local.stack import Stack
from tests.system.person import CALL_SECONDS, PASSWORD, Person

COMMON = ("password", "Password1", "12345678", "iloveyou", "qwertyuiop", "987654321", "P@ssw0rd", "football1")


@pytest.mark.parametrize("password", COMMON)
async def test_a_common_password_is_not_registered(stack: Stack, password: str) -> None:
    """No user is made, the problem says why, and another password works for the same address."""
    email = f"{uuid4()}@example.com"
    async with httpx.AsyncClient(
        base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False
    ) as client:
        refused = await client.post("/auth/register", json={"email": email, "password": password})
        taken = await client.post("/auth/register", json={"email": email, "password": PASSWORD})

    assert (refused.status_code, refused.json()["code"]) == (400, "weak_password")
    assert "commonest" in refused.json()["detail"]
    assert taken.status_code == 201


@pytest.mark.parametrize("form", ["{email}", "{local}", " {EMAIL}", "{LOCAL}"])
async def test_the_email_address_is_no_password(stack: Stack, form: str) -> None:
    """Neither the whole address nor the part before the @, in any case."""
    local = f"Someone.{uuid4().hex[:12]}"
    email = f"{local}@example.com"
    password = form.format(email=email, local=local, EMAIL=email.upper(), LOCAL=local.upper())
    async with httpx.AsyncClient(
        base_url=f"{stack.api}/api/v1", timeout=CALL_SECONDS, trust_env=False
    ) as client:
        refused = await client.post("/auth/register", json={"email": email, "password": password})

    assert (refused.status_code, refused.json()["code"]) == (400, "weak_password")
    assert "email address" in refused.json()["detail"]


@pytest.mark.parametrize("own", [True, False], ids=["email", "common"])
async def test_a_password_is_not_changed_to_a_weak_one(person: Person, own: bool) -> None:  # noqa: FBT001 - a case
    """The rule of the registration applies to a change; the old password stays."""
    weak = person.email if own else "password123"

    problem = await person.put("/me/password", {"old_password": PASSWORD, "new_password": weak}, 400)

    assert problem["code"] == "weak_password"
    await person.post("/auth/login", {"email": person.email, "password": PASSWORD})
