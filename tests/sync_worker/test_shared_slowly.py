"""A host that does not close a shared connection, while its last responses are slow."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio

from contracts.syncs import Verdict
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker.scripted import CONFIG, VALUATION, Script, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker

DEADLINE = 5.0
# So late that the wait for the server's end would go on after the try.
LATE = 4.2


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


def late(script: Script) -> Script:
    """Return a script that responds late."""

    async def write(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(LATE)
        await script(writer)

    return write


async def test_the_wait_for_the_end_of_a_connection_ends_with_the_try(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """The responses that can not be proved in time do not count, and the wallets that were read do."""
    scripted.closes = False
    for target in (VALUATION, CONFIG):
        scripted.scripts[target] = late(scripted.scripts[target])

    outcome = await gateway.sync(gateway.request(credential_id, "us", DEADLINE))

    assert [read.verdict for read in outcome.wallets[:2]] == [Verdict.COMPLETE] * 2
