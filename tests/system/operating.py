"""Operators of the running system: rows of the database, and clients of the operations port."""

from typing import Any

import httpx

from contracts.operators import Role
from deploy.database.operators import add
from deploy.local.postgres import OWNER, SUPERUSER, Postgres
from deploy.local.stack import Stack

CALL_SECONDS = 30


class Operating:
    """Calls the operators' API with one token, and checks that refusals are problem documents."""

    def __init__(self, client: httpx.AsyncClient, token: str) -> None:
        self.client = client
        self.token = token

    async def call(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """Send a request and return the response."""
        headers = {"Authorization": f"Bearer {self.token}"}
        response = await self.client.request(method, f"/api/v1/admin{path}", headers=headers, **request)
        assert response.status_code == status, response.text
        if response.is_error:
            assert response.headers["content-type"] == "application/problem+json"
        return response.json() if response.content else None


def operations_client(stack: Stack) -> httpx.AsyncClient:
    """Return a client of the gateway's operations port."""
    return httpx.AsyncClient(base_url=stack.operations("gateway"), timeout=CALL_SECONDS, trust_env=False)


async def token_of(database: Postgres, name: str, role: Role = Role.OPERATOR) -> str:
    """Add an operator as the owner of the database, and return the token."""
    async with await database.connect(OWNER) as connection:
        return (await add(connection, name, role)).reveal()


async def acts(database: Postgres) -> list[tuple[Any, ...]]:
    """Return the audited acts in their order: who, what and on what."""
    async with await database.connect(SUPERUSER) as connection:
        rows = await connection.execute("select operator, action, subject from operator_acts order by id")
        return await rows.fetchall()
