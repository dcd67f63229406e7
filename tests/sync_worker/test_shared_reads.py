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


async def test_a_second_response_on_a_connection_that_stays_open_is_read_again(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """It does not count; the first responses do, and are not read again."""
    scripted.closes = False

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert outcome.status == Status.COMPLETED
    assert used(scripted) == sorted([[BALANCE, VALUATION], [VALUATION], [FUNDING, CONFIG], [CONFIG]])
