"""An exchange that responds twice: no user ever sees the list of another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.simulator.okx.accounts import Accounts
from tests.conformance.simulated import HELD, NEIGHBOURS, Admin
from tests.conformance.table import BALANCE, CONFIG, FUNDING_LIST, VALUATION
from tests.system.person import CALL_SECONDS, Person

SIGNED = (BALANCE, FUNDING_LIST, VALUATION, CONFIG)
TIME = ("global", "public/time")
ROUNDS = 2


@dataclass(frozen=True)
class Neighbour:
    """A user, the name of their account at the exchange, and its balances."""

    person: Person
    name: str
    held: dict[str, dict[str, Decimal]]

    async def connect(self) -> dict[str, Any]:
        """Connect the account unless connected."""
        connected = await self.person.get("/accounts")
        account: dict[str, Any] = connected[0] if connected else await self.person.connect(self.name)
        return account

    async def sees_their_own(self) -> bool:
        """Sync the account, and return whether the API shows exactly its balances."""
        account = await self.connect()
        sync = await self.person.post(f"/accounts/{account['id']}/sync", Prefer="wait=60")
        shown = (await self.person.get(f"/accounts/{account['id']}/balances"))["wallets"]
        told = {
            each["wallet"]: {row["asset"]: Decimal(row["total"]) for row in each["balances"]}
            for each in shown
            if each["state"] == "fresh"
        }
        return (sync["status"], told) == ("completed", self.held)


@pytest_asyncio.fixture(name="neighbours", scope="module")
async def _neighbours(troubled_stack: Stack, accounts: Accounts) -> AsyncIterator[list[Neighbour]]:
    base = f"{troubled_stack.api}/api/v1"
    async with AsyncExitStack() as stack:
        neighbours = []
        for name, times in NEIGHBOURS.items():
            client = httpx.AsyncClient(base_url=base, timeout=CALL_SECONDS, trust_env=False)
            person = Person(await stack.enter_async_context(client), accounts)
            await person.sign_up()
            held = {
                wallet: {asset: Decimal(amount) * times for asset, amount in amounts.items()}
                for wallet, amounts in HELD.items()
            }
            neighbours.append(Neighbour(person, name, held))
        yield neighbours


@pytest_asyncio.fixture(name="answered_again", params=[0, 0.02, 2.0])
async def _answered_again(admin: Admin, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Let the exchange respond again after so many seconds, to every request of the two users."""
    places = [(name, endpoint) for name in NEIGHBOURS for endpoint in SIGNED] + [TIME]
    for place in places:
        await admin.put(*place, {"fault": "twice", "seconds": request.param})
    yield
    struck = [
        await admin.struck(*place) for place in places if place[1] in (BALANCE, FUNDING_LIST, VALUATION)
    ]
    for place in places:
        await admin.clear(*place)
    assert all(struck)


@pytest.mark.usefixtures("answered_again")
async def test_users_see_their_own_lists_one_after_another(neighbours: Sequence[Neighbour]) -> None:
    """Each sync is completed with the list of its account, in whichever order the users sync."""
    for _ in range(ROUNDS):
        for neighbour in neighbours:
            assert await neighbour.sees_their_own()


@pytest.mark.usefixtures("answered_again")
async def test_users_see_their_own_lists_at_the_same_time(neighbours: Sequence[Neighbour]) -> None:
    """Concurrent syncs are completed with the list of their account, too."""
    for _ in range(ROUNDS):
        assert all(await asyncio.gather(*(neighbour.sees_their_own() for neighbour in neighbours)))
