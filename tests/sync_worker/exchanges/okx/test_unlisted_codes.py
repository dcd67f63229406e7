"""Error codes of the exchange that are not in our table are reported unchanged and retried."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from contracts.credentials import Refused
from contracts.faults import Code
from contracts.syncs import Status, SyncFailed, TotalCheck
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import BALANCE, CONFIG, FUNDING, VALUATION, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker
from tests.waiting import until

# The deadline leaves no time for a second try, so the first reading is final.
ONE_TRY = 3.2


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


@pytest.mark.parametrize(
    ("code", "told"),
    [("59999", "59999"), (-1, "-1"), ("E_NEW-1", "E_NEW-1"), ("words, and no code", None)],
)
async def test_an_unlisted_code_is_told_in_fields_of_its_own(
    worker: Worker,
    gateway: Gateway,
    scripted: ScriptedExchange,
    credential_id: UUID,
    code: Any,
    told: str | None,
) -> None:
    """The outcome, the log and a refused verification name it and the read; none repeats OKX's text."""
    scripted.scripts[BALANCE] = scripted.scripts[CONFIG] = script.refusal(code, "canary", "400 Bad Request")
    request = gateway.request(credential_id, "us", ONE_TRY)

    trading = (await gateway.sync(request)).wallets[0]
    refused = await gateway.verify(credential_id, "us")

    def line() -> dict[str, Any] | None:
        lines = worker.lines("sync_ended")
        return next((each for each in lines if each["sync_id"] == str(request.sync_id)), None)

    async def written_down() -> bool:
        return line() is not None

    assert (trading.error_code, trading.exchange_code) == (Code.EXCHANGE_ERROR, told)
    assert trading.endpoint == "account_balance"
    assert isinstance(refused, Refused)
    assert (refused.code, refused.exchange_code) == (Code.EXCHANGE_ERROR, told)
    assert refused.endpoint == "account_config"
    await until(written_down)
    logged = line() or {}
    assert logged.get("exchange_code") == ({"trading": told} if told else None)
    assert logged["endpoint"] == {"trading": "account_balance"}
    unlisted = [(each["endpoint"], each["exchange_code"]) for each in worker.lines("unlisted_error_code")]
    assert {("account_balance", told), ("account_config", told)} <= set(unlisted)
    assert "canary" not in worker.log.read_text()


async def test_a_credential_in_the_place_of_a_code_is_not_told(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, accounts: Accounts
) -> None:
    """An exchange that echoes its request brings no credential into the outcome or the log."""
    passphrase = "Canary-as-code_1"
    credential_id = await gateway.store(accounts["plain"], passphrase=passphrase)
    scripted.refuse_all(script.refusal(passphrase))

    outcome = await gateway.sync(gateway.request(credential_id, "us", ONE_TRY))

    assert isinstance(outcome, SyncFailed)
    assert {read.error_code for read in outcome.wallets[:2]} == {Code.EXCHANGE_ERROR}
    assert passphrase not in repr(outcome)
    assert passphrase not in worker.log.read_text()


async def test_an_unlisted_code_that_passes_is_tried_again(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """The second try reads everything."""
    scripted.scripts[FUNDING] = script.first(script.refusal("59999"), scripted.scripts[FUNDING])

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 2)


async def test_a_valuation_that_is_refused_so_is_asked_for_once_more(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, credential_id: UUID
) -> None:
    """It may pass like a listed refusal."""
    scripted.scripts[VALUATION] = script.first(script.refusal("59999"), scripted.scripts[VALUATION])

    outcome = await gateway.sync(gateway.request(credential_id, "us"))

    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 1)
    assert [read.total_check for read in outcome.wallets[:2]] == [TotalCheck.AGREES] * 2
