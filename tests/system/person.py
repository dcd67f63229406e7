"""A user of the API: registered, signed in, with the accounts of the simulated exchange."""

from typing import Any
from uuid import uuid4

import httpx

from deploy.local.demo import ACCOUNTS
from deploy.simulator.okx.accounts import Account, Accounts, load_accounts
from tests.waiting import until

PASSWORD = "correct horse battery"
CALL_SECONDS = 75
SIMULATED = load_accounts(ACCOUNTS)


def credentials(name: str, simulated: Accounts = SIMULATED, **changed: str) -> dict[str, str]:
    """Return the credentials of a simulated account, some of them changed."""
    account: Account = simulated[name]
    given = {
        "api_key": account.api_key,
        "api_secret": account.api_secret,
        "passphrase": account.passphrase,
    }
    return given | changed


class Person:
    """Calls the API as one user, and checks that every response is documented JSON or a problem document."""

    def __init__(self, client: httpx.AsyncClient, simulated: Accounts = SIMULATED) -> None:
        self.client = client
        self._simulated = simulated
        self.email = f"{uuid4()}@example.com"
        self.tokens: dict[str, Any] = {}

    async def sign_up(self) -> None:
        """Register and sign in."""
        login = {"email": self.email, "password": PASSWORD}
        assert (await self.client.post("/auth/register", json=login)).status_code == 201
        self.tokens = (await self.client.post("/auth/login", json=login)).raise_for_status().json()
        self.client.headers["Authorization"] = f"Bearer {self.tokens['access_token']}"

    async def get(self, path: str, status: int = 200) -> Any:
        """Send a GET and return the response."""
        return self._checked(await self.client.get(path), status)

    async def post(self, path: str, body: object = None, status: int = 200, **headers: str) -> Any:
        """Send a POST and return the response; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._checked(await self._patiently("POST", path, json=body, headers=named), status)

    async def put(self, path: str, body: object, status: int = 200) -> Any:
        """Send a PUT and return the response."""
        return self._checked(await self._patiently("PUT", path, json=body), status)

    async def connect(self, name: str, status: int = 201, region: str | None = None, **changed: str) -> Any:
        """Connect a simulated account and return the response."""
        submission = {
            "exchange": "okx",
            "name": name,
            "region": region or self._simulated[name].region,
            "credentials": credentials(name, self._simulated, **changed),
        }
        return await self.post("/accounts", submission, status)

    async def _patiently(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Send, and retry while the exchange limits us, because many tests use few accounts."""
        response = await self.client.request(method, path, **request)

        async def unlimited() -> bool:
            nonlocal response
            if response.status_code == 503 and response.json()["code"] == "rate_limited":
                response = await self.client.request(method, path, **request)
                return False
            return True

        await until(unlimited)
        return response

    def _checked(self, response: httpx.Response, status: int) -> Any:
        assert response.status_code == status, response.text
        if response.is_success:
            return response.json() if response.content else None
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert (problem["status"], bool(problem["code"]), bool(problem["detail"])) == (status, True, True)
        return problem
