"""The exchange refuses its total: which requests are repeated, and the verdicts then."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.syncs import Status, TotalCheck
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import BALANCE, FUNDING, TIME, VALUATION, Script, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


A_SECOND = 1.0
LIMITED = b'{"msg":"Too Many Requests","code":"50011"}'
TOO_OFTEN = script.refusal("50011", status="429 Too Many Requests")


@pytest.mark.parametrize("refused", [TOO_OFTEN, script.refusal("50001")], ids=["too often", "maintenance"])
async def test_a_refused_total_is_asked_for_once_more(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID, refused: Script
) -> None:
    """The second request has the same signature, the wallets are not read again, and the lists agree."""
    scripted.scripts[VALUATION] = script.first(refused, scripted.scripts[VALUATION])

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 1)
    assert [read.total_check for read in outcome.wallets[:2]] == [TotalCheck.AGREES] * 2
    assert sorted(set(scripted.targets()) - {TIME}) == sorted(script.SIGNED)
    first, again = (_signed(head) for head in scripted.heads if VALUATION.encode() in head)
    assert again == first
    assert (scripted.targets().count(BALANCE), scripted.targets().count(FUNDING)) == (1, 1)


async def test_a_total_lost_with_its_connection_is_asked_for_within_the_limit(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """The exchange allows one valuation a second, and may have counted the one whose response was lost."""
    answer, asked = scripted.scripts[VALUATION], list[float]()

    async def limited(writer: asyncio.StreamWriter) -> None:
        asked.append(time.monotonic())
        soon = len(asked) > 1 and asked[-1] - asked[-2] < A_SECOND
        await (script.reset if len(asked) == 1 else TOO_OFTEN if soon else answer)(writer)

    scripted.scripts[VALUATION] = limited

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert [read.total_check for read in outcome.wallets[:2]] == [TotalCheck.AGREES] * 2
    assert len(asked) == 2


LASTING: dict[str, tuple[Script, float, int]] = {
    "refused twice": (TOO_OFTEN, 30.0, 2),
    "for good": (script.refusal("50120"), 30.0, 1),
    "a longer wait": (
        script.response(LIMITED, "429 Too Many Requests", "content-type: application/json\r\nretry-after: 5"),
        30.0,
        1,
    ),
    "no time": (TOO_OFTEN, 2.4, 1),
}


@pytest.mark.parametrize(("answer", "seconds", "asked"), LASTING.values(), ids=LASTING)
async def test_without_the_totals_the_wallets_are_unchecked(
    worker: Worker,
    gateway: Gateway,
    scripted: ScriptedExchange,
    credential_id: UUID,
    answer: Script,
    seconds: float,
    asked: int,
) -> None:
    """A failed valuation makes no wallet fail, and is retried only if that may help."""
    scripted.scripts[VALUATION] = answer

    outcome = await gateway.sync(gateway.request(credential_id, "us", seconds))

    assert outcome.status == Status.COMPLETED
    assert [read.total_check for read in outcome.wallets[:2]] == [TotalCheck.UNCHECKED] * 2
    assert scripted.targets().count(VALUATION) == asked


def _signed(head: bytes) -> list[bytes]:
    """Return the target of a request and the headers that the broker wrote."""
    lines = head.lower().split(b"\r\n")
    return [lines[0], *(line for line in lines if line.startswith(b"ok-access-"))]
