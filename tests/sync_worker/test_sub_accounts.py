"""The worker reads a sub-account by its name, and lists the sub-accounts of a master in pages."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from contracts.syncs import Status, SubAccount, SyncRequested, Verdict
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import CONFIG, FUNDING_ROW, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker

LIST = "/api/v5/users/subaccount/list"
NAMED, PAGE = f"{LIST}?subAcct=savings1", f"{LIST}?limit=100"
SUB_BALANCE = "/api/v5/account/subaccount/balances?subAcct=savings1"
SUB_FUNDING = "/api/v5/asset/subaccount/balances?subAcct=savings1"
ONE = SubAccount("11", "savings1")
FIRST_MS = 1_700_000_000_000


@pytest_asyncio.fixture(name="credential_id", scope="module")
async def _credential_id(gateway: Gateway, accounts: Accounts) -> AsyncIterator[UUID]:
    yield await gateway.store(accounts["plain"])


@pytest.fixture(name="request_")
def _request(gateway: Gateway, credential_id: UUID) -> SyncRequested:
    """Return the request for a sub-account."""
    return msgspec.structs.replace(gateway.request(credential_id, "us"), sub_account=ONE)


def entry(number: int, name: str | None = None) -> dict[str, Any]:
    """Return a row of the list; a higher number was created later."""
    return {"uid": str(number), "subAcct": name or f"n{number}", "ts": str(FIRST_MS + number)}


def holding(scripted: ScriptedExchange, uid: int = 11) -> None:
    """Let the sub-account hold one ETH in each wallet."""
    scripted.scripts |= {
        SUB_BALANCE: script.trading({"ccy": "ETH", "eq": "1", "eqUsd": "3200"}, total="3200"),
        SUB_FUNDING: script.rows(FUNDING_ROW | {"ccy": "ETH", "bal": "1"}),
        NAMED: script.rows(entry(uid, "savings1")),
    }


def signed(scripted: ScriptedExchange) -> list[str]:
    """Return the targets of the signed reads, sorted."""
    return sorted(target for target in scripted.targets() if target != script.TIME)


async def test_a_sub_account_is_read_by_its_name_alone(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested
) -> None:
    """No read of the master's wallets is sent, and the outcome names the sub-account."""
    holding(scripted)

    outcome = await gateway.sync(request_)

    assert signed(scripted) == sorted((SUB_BALANCE, SUB_FUNDING, NAMED, CONFIG))
    assert (outcome.status, outcome.sub_account, outcome.sub_accounts) == (Status.COMPLETED, ONE, None)
    held = [[each.asset for each in wallet.balances or ()] for wallet in outcome.wallets]
    assert held == [["ETH"], ["ETH"], []]
    assert outcome.rights is not None


async def test_a_name_that_has_another_uid_is_not_read_for_this_one(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested
) -> None:
    """The sub-account was deleted, and another one has its name."""
    holding(scripted, uid=99)

    outcome = await gateway.sync(request_)

    assert (outcome.status, outcome.sub_account) == (Status.FAILED, None)
    assert [wallet.error_code for wallet in outcome.wallets[:2]] == ["sub_account_gone"] * 2
    assert all(wallet.balances is None for wallet in outcome.wallets)


async def test_the_list_is_read_page_by_page(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested
) -> None:
    """Each page asks for the oldest row again, and the last one is not full."""
    newest = [entry(number) for number in range(150, 50, -1)]
    rest = [entry(number) for number in range(51, 0, -1)]
    scripted.scripts |= {
        PAGE: script.rows(*newest),
        f"{PAGE}&after={FIRST_MS + 52}": script.rows(*rest),
    }

    outcome = await gateway.sync(msgspec.structs.replace(request_, sub_account=None, list_sub_accounts=True))

    assert outcome.status == Status.COMPLETED
    assert outcome.sub_accounts is not None
    assert outcome.sub_accounts.whole
    assert {each.uid for each in outcome.sub_accounts.sub_accounts} == {str(n) for n in range(1, 151)}


async def test_a_list_that_was_refused_says_so_and_costs_no_wallet(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, request_: SyncRequested
) -> None:
    """A key of a sub-account, for example."""
    scripted.scripts[PAGE] = script.refusal("59500")

    outcome = await gateway.sync(msgspec.structs.replace(request_, sub_account=None, list_sub_accounts=True))

    assert outcome.status == Status.COMPLETED
    assert outcome.sub_accounts is not None
    assert (outcome.sub_accounts.error_code, outcome.sub_accounts.sub_accounts) == ("not_available", ())
    assert outcome.wallets[0].verdict is Verdict.COMPLETE
