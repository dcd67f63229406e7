"""An account that is synced, paused and verified, and the events its user receives."""

import json
from typing import Any

from deploy.local.postgres import SUPERUSER, Postgres
from tests.system.person import Person
from tests.system.test_sweeper import run
from tests.waiting import until

CONFIG = "account/config"
VERIFY_SECONDS = 45.0


def perm(text: str) -> dict[str, Any]:
    """Set the rights of a key at the exchange."""
    return {"fault": "replaced", "field": "perm", "text": json.dumps(text)}


class Watched:
    """An account of a user, and the user's events."""

    def __init__(self, person: Person, database: Postgres, account: dict[str, Any], events: Any) -> None:
        self.person, self.id, self.path = person, account["id"], f"/accounts/{account['id']}"
        self._database, self._events = database, events

    async def sync(self, status: int = 200) -> Any:
        """Sync the account."""
        return await self.person.post(f"{self.path}/sync", status=status)

    async def shown(self) -> Any:
        """Return the account as the API shows it."""
        return await self.person.get(self.path)

    async def amounts(self) -> dict[str, Any]:
        """Return by wallet its state, reason and amounts."""
        wallets = (await self.person.get(f"{self.path}/balances"))["wallets"]
        return {each["wallet"]: (each["state"], each["error_code"], each["balances"]) for each in wallets}

    async def event(self) -> tuple[str, Any]:
        """Return the kind and data of the next event except those of syncs."""
        while True:
            message = await self._events.next_msg(timeout=10)
            kind = message.subject.split(".")[2]
            if kind != "synced":
                return kind, json.loads(message.data)

    async def make_due(self) -> None:
        """Make the verification of its pause due now."""
        async with await self._database.connect(SUPERUSER) as connection:
            await connection.execute("update account_pauses set next_verify_at = now()")

    async def verified(self) -> None:
        """Have its pause verified, and wait for the result."""
        await self.make_due()

        async def done() -> bool:
            found = await run(
                self._database, "select 1 from account_pauses where next_verify_at <= now() + interval '5m'"
            )
            return not found

        await until(done, VERIFY_SECONDS)
