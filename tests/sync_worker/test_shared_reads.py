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
REST = [
    [script.SAVINGS, script.REWARDS],
    [script.ORDERS, script.ETH],
    [script.DUAL, script.SOL],
    [script.POSITIONS, script.LOANS],
]


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


def used(exchange: ScriptedExchange) -> list[list[str]]:
    """Return the connections of signed reads."""
    return sorted(targets for targets in exchange.connections if targets not in ([], [TIME]))


async def test_reads_share_connections_by_two(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """The two responses of a connection differ in their shape; two connections are open at once."""
    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert outcome.status == Status.COMPLETED
    assert used(scripted) == sorted([[BALANCE, VALUATION], [FUNDING, CONFIG], *REST])


async def test_a_read_does_not_wait_for_one_that_stalls(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """It gets a connection of its own after a second, and the other wallet is compared with its total."""
    scripted.scripts[BALANCE] = script.hang

    outcome = await gateway.sync(gateway.request(credential_id, "us", ONE_TRY))

    trading, funding, _ = outcome.wallets
    assert (trading.verdict, funding.verdict) == (Verdict.FAILED, Verdict.COMPLETE)
    assert used(scripted) == sorted([[BALANCE], [VALUATION], [FUNDING, CONFIG], *REST])


async def test_in_a_short_try_reads_share_no_connection(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """Two slow reads one after the other might not end in time."""
    await gateway.sync(gateway.request(credential_id, "us", SHORT_TRY))

    assert used(scripted) == sorted([each] for each in script.SIGNED)


async def test_a_second_response_on_a_connection_that_stays_open_is_read_again(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """It does not count; the first responses do, and are not read again."""
    scripted.closes = False

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert outcome.status == Status.COMPLETED
    again = [pair[1:] for pair in REST if len(pair) > 1]
    pairs = [[BALANCE, VALUATION], [VALUATION], [FUNDING, CONFIG], [CONFIG]]
    assert used(scripted) == sorted([*pairs, *REST, *again])
