"""The contents of the vault and the database for an account, seen by an administrator of the tests."""

from typing import Any
from uuid import UUID

import httpx

from chassis.bus.connection import Bus
from contracts import subjects
from contracts.credentials import Destroy, Destroyed, DestroyReply
from contracts.faults import Code
from deploy.local.postgres import SUPERUSER, Postgres


class Vault:
    """Reads the vault with the broker's rights, which exclude listing, and the tables as superuser."""

    def __init__(self, client: httpx.AsyncClient, database: Postgres, bus: Bus) -> None:
        self._client = client
        self._database = database
        self._bus = bus

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a query as the superuser."""
        async with await self._database.connect(SUPERUSER) as connection:
            cursor = await connection.execute(query.encode(), values)
            return await cursor.fetchall()

    async def credential_of(self, account_id: str) -> UUID:
        """Return the credential of an account."""
        ((credential_id,),) = await self.rows("select credential_id from accounts where id = %s", account_id)
        return UUID(str(credential_id))

    async def forget(self, credential_id: UUID) -> None:
        """Destroy a credential without the gateway."""
        reply: DestroyReply = await self._bus.request(
            subjects.DESTROY, Destroy(credential_id), DestroyReply, 5, Code.SIGNING_UNAVAILABLE
        )
        assert isinstance(reply, Destroyed)

    async def holds_exactly(self, *credentials: UUID) -> bool:
        """Return whether table and vault hold exactly these of all submitted credentials."""
        submitted = await self.rows("select subject from audit where action = 'credential_submitted'")
        kept = {row[0] for row in await self.rows("select id from credentials")}
        transit = {row[0] for row in submitted if await self._signs(row[0])}
        parts = {row[0] for row in submitted if await self.has_parts(row[0])}
        assert submitted, "nothing was ever submitted"
        return kept == transit == parts == set(credentials)

    async def audited(self, action: str) -> bool:
        """Return whether the audit has an event."""
        return bool(await self.rows("select 1 from audit where action = %s", action))

    async def _signs(self, credential_id: UUID) -> bool:
        answer = await self._client.post(f"transit/hmac/{credential_id}/sha2-256", json={"input": ""})
        return answer.is_success

    async def has_parts(self, credential_id: UUID) -> bool:
        """Return whether the vault has the record of a credential or of an offer."""
        return (await self._client.get(f"secret/data/credentials/{credential_id}")).is_success
