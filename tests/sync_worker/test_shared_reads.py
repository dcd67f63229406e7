"""A sync's reads on connections that two of them share."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio

from contracts.syncs import Status, Verdict
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import BALANCE, CONFIG, FUNDING, TIME, VALUATION, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker

# Long enough for reads to share, too short for a second try.
ONE_TRY = 5.0
SHORT_TRY = 3.2


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


def used(exchange: ScriptedExchange) -> list[list[str]]:
    """Return the connections of signed reads."""
    return sorted(targets for targets in exchange.connections if targets not in ([], [TIME]))


async def test_a_sync_takes_two_connections(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """A wallet is read first on each, and a total or the rights after it."""
    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert outcome.status == Status.COMPLETED
    assert used(scripted) == sorted([[BALANCE, VALUATION], [FUNDING, CONFIG]])


async def test_a_read_does_not_wait_for_one_that_stalls(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """It gets a connection of its own after a second, and the other wallet is compared with its total."""
    scripted.scripts[BALANCE] = script.hang

    outcome = await gateway.sync(gateway.request(credential_id, "us", ONE_TRY))

    trading, funding, _ = outcome.wallets
    assert (trading.verdict, funding.verdict) == (Verdict.FAILED, Verdict.COMPLETE)
    assert used(scripted) == sorted([[BALANCE], [VALUATION], [FUNDING, CONFIG]])


async def test_a_short_try_sends_all_reads_at_once(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """Two slow reads one after the other might not end in time."""
    await gateway.sync(gateway.request(credential_id, "us", SHORT_TRY))

    assert used(scripted) == sorted([[BALANCE], [VALUATION], [FUNDING], [CONFIG]])


async def test_a_host_that_does_not_close_connections_is_read_alone(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """Its second responses do not count but are read again; after three in a row no connection is shared."""
    scripted.closes = False
    for _ in range(2):
        scripted.connections.clear()
        outcome = await gateway.sync(gateway.request(credential_id, "us"))
        assert outcome.status == Status.COMPLETED
        assert used(scripted) == sorted([[BALANCE, VALUATION], [VALUATION], [FUNDING, CONFIG], [CONFIG]])
    scripted.connections.clear()

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert outcome.status == Status.COMPLETED
    assert used(scripted) == sorted([[BALANCE], [FUNDING], [VALUATION], [CONFIG]])
