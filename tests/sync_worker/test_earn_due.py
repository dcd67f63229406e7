"""The earn wallet needs six reads, so a sync leaves it unread while it is empty and worth nothing."""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from contracts.faults import Code
from contracts.syncs import Status, SyncRequested, Verdict
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import BALANCE, CONFIG, EARN, FUNDING, POSITIONS, VALUATION, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker

USUAL = sorted((BALANCE, FUNDING, VALUATION, CONFIG, POSITIONS))
EMPTY = {"trading": "64000", "funding": "64000", "earn": "0"}


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


@pytest.fixture(name="request_")
def _request(gateway: Gateway, credential_id: UUID) -> SyncRequested:
    """Return the request for an account whose earn wallet was empty a short while ago."""
    request = gateway.request(credential_id, "us")
    return msgspec.structs.replace(request, lately_empty=("earn",))


def valued(scripted: ScriptedExchange, **details: str) -> None:
    """Let the exchange value the wallets."""
    scripted.scripts[VALUATION] = script.rows({"details": EMPTY | details})


def signed(scripted: ScriptedExchange) -> list[str]:
    """Return the targets of the reads of an account, sorted."""
    return sorted(target for target in scripted.targets() if target != script.TIME)


@pytest.mark.parametrize("earn", ["0", "0.01"])
async def test_an_empty_wallet_that_is_worth_nothing_is_not_read(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested, earn: str
) -> None:
    """Five reads in place of twelve, on half the connections; the outcome names the valuation."""
    valued(scripted, earn=earn)

    outcome = await gateway.sync(request_)

    wallet = outcome.wallets[2]
    assert signed(scripted) == USUAL
    assert sorted(each for each in scripted.connections if each not in ([], [script.TIME])) == sorted(
        ([BALANCE, VALUATION], [FUNDING, CONFIG], [POSITIONS])
    )
    assert (outcome.status, wallet.verdict, wallet.balances) == (Status.COMPLETED, Verdict.NOT_DUE, None)
    assert wallet.totals is not None
    assert str(wallet.totals.valued) == earn
    assert wallet.as_of is not None
    assert outcome.uncovered == ()


async def test_what_was_bought_since_is_read_at_once(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested
) -> None:
    """More than a cent in the valuation has the same sync read the lists."""
    valued(scripted, earn="0.011")
    scripted.scripts[script.SAVINGS] = script.rows({"ccy": "BTC", "amt": "0.00000017"})

    outcome = await gateway.sync(request_)

    assert signed(scripted) == sorted((*USUAL, *EARN))
    assert outcome.status == Status.COMPLETED
    assert [(each.asset, str(each.total)) for each in outcome.wallets[2].balances or ()] == [
        ("BTC", "1.7E-7")
    ]


@pytest.mark.parametrize(
    "valuation",
    [
        script.rows({"details": {"trading": "64000", "funding": "64000"}}),
        script.rows({"details": EMPTY | {"earn": ""}}),
        script.refusal("50026"),
        script.response(b"{", headers="content-type: application/json\r\nage: 3600"),
    ],
    ids=["without earn", "an empty value", "refused", "unreadable"],
)
async def test_a_valuation_that_does_not_tell_lets_the_wallet_be_read(
    worker: Worker,
    gateway: Gateway,
    scripted: ScriptedExchange,
    request_: SyncRequested,
    valuation: script.Script,
) -> None:
    """Nobody has said that the wallet is worth nothing."""
    scripted.scripts[VALUATION] = valuation

    outcome = await gateway.sync(request_)

    assert set(EARN) <= set(scripted.targets())
    assert outcome.wallets[2].verdict is Verdict.COMPLETE


async def test_a_valuation_from_a_cache_lets_the_wallet_be_read(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested
) -> None:
    """It may be of before the purchase."""
    body = b'{"code":"0","msg":"","data":[{"details":{"trading":"64000","funding":"64000","earn":"0"}}]}'
    headers = "content-type: application/json\r\nage: 30"
    scripted.scripts[VALUATION] = script.response(body, headers=headers)

    outcome = await gateway.sync(request_)

    assert set(EARN) <= set(scripted.targets())
    assert outcome.wallets[2].verdict is Verdict.COMPLETE


async def test_an_earn_wallet_that_can_not_be_read_tells_its_worth(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested
) -> None:
    """The other wallets are read; the money does not vanish silently."""
    valued(scripted, earn="5000")
    scripted.scripts |= dict.fromkeys(EARN, script.refusal("50120"))

    outcome = await gateway.sync(request_)

    wallet = outcome.wallets[2]
    assert [each.verdict for each in outcome.wallets[:2]] == [Verdict.COMPLETE, Verdict.COMPLETE]
    assert (wallet.verdict, wallet.error_code) == (Verdict.NOT_PERMITTED, Code.PERMISSION_MISSING)
    assert wallet.totals is not None
    assert (wallet.totals.listed, str(wallet.totals.valued)) == (None, "5000")
