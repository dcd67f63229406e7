"""What the API shows after a fault: the last good set, marked as stale; never a zero, never a guess."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.simulator.okx.accounts import Accounts
from tests.conformance.simulated import FUNDING, KEEPER, POOR, TRADING, WEALTHY, Admin
from tests.conformance.table import BALANCE, VALUATION, damaged
from tests.system.person import CALL_SECONDS, Person
from tests.waiting import passed, until

FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "an empty list": (damaged("replaced", "details", "[]"), "contradictory_total"),
    "a page": ({"fault": "page"}, "unexpected_response"),
    "a storm": ({"fault": "refusal", "code": "50011", "retry_after": 3600}, "rate_limited"),
    "maintenance": ({"fault": "refusal", "code": "50001"}, "exchange_unavailable"),
    "a code that is in no table": (damaged("replaced", "code", '"-1"'), "exchange_error"),
    "a deleted key": ({"fault": "refusal", "code": "50119"}, "key_unknown"),
    "no permission": ({"fault": "refusal", "code": "50120"}, "permission_missing"),
}


@pytest_asyncio.fixture(name="person", scope="module")
async def _person(troubled_stack: Stack, accounts: Accounts) -> AsyncIterator[Person]:
    base = f"{troubled_stack.api}/api/v1"
    async with httpx.AsyncClient(base_url=base, timeout=CALL_SECONDS, trust_env=False) as client:
        person = Person(client, accounts)
        await person.sign_up()
        yield person


@pytest_asyncio.fixture(name="path", scope="module")
async def _path(person: Person, admin: Admin) -> str:
    """Connect an account that was never read, because its first sync met a fault."""
    account = await person.connect(KEEPER)
    path = f"/accounts/{account['id']}"
    await admin.put(KEEPER, BALANCE, {"fault": "page"})
    await person.post(f"{path}/sync")
    await admin.clear(KEEPER, BALANCE)
    return path


async def wallets(person: Person, path: str) -> dict[str, Any]:
    """Return what is shown of each wallet."""
    return {each["wallet"]: each for each in (await person.get(f"{path}/balances"))["wallets"]}


async def test_a_wallet_that_was_never_read_is_null(person: Person, path: str) -> None:
    """The other wallet is there; of this one nothing is, and the sums say so."""
    shown = await wallets(person, path)
    holdings = await person.get(f"{path}/holdings")

    assert (shown["trading"]["state"], shown["trading"]["balances"]) == ("never_read", None)
    assert (shown["trading"]["as_of"], shown["trading"]["error_code"]) == (None, "unexpected_response")
    assert shown["funding"]["state"] == "fresh"
    assert {row["asset"]: row["total"] for row in shown["funding"]["balances"]} == FUNDING
    assert (holdings["complete"], holdings["missing_wallets"]) == (False, ["trading"])
    assert (await person.get(path))["last_synced_at"] is None


@pytest.mark.parametrize(("fault", "code"), FAULTS.values(), ids=FAULTS)
async def test_the_last_good_set_stays_and_is_marked(
    person: Person, path: str, admin: Admin, fault: dict[str, Any], code: str
) -> None:
    """After a fault the wallet shows what was last read, and why it is stale; then it is fresh."""
    assert (await person.post(f"{path}/sync"))["success"] is True
    good, account = await wallets(person, path), await person.get(path)
    await admin.put(KEEPER, BALANCE, fault)
    await until(passed(1.0))  # of the totals one call a second is allowed

    sync = await person.post(f"{path}/sync", Prefer="wait=60")
    await admin.clear(KEEPER, BALANCE)
    shown, after = await wallets(person, path), await person.get(path)
    holdings = await person.get(f"{path}/holdings")

    assert (sync["success"], sync["status"], sync["error_code"]) == (False, "partial", code)
    assert {row["asset"]: row["total"] for row in good["trading"]["balances"]} == TRADING
    said = "-1" if code == "exchange_error" else fault.get("code")
    marks = {"state": "stale", "error_code": code, "error": shown["trading"]["error"]}
    marks |= {"exchange_code": said, "endpoint": "account_balance" if said else None}
    assert shown["trading"] == good["trading"] | marks
    assert shown["funding"]["state"] == "fresh"
    assert shown["funding"]["as_of"] > good["funding"]["as_of"]
    assert (holdings["complete"], holdings["stale_wallets"]) == (False, ["trading"])
    assert after["last_synced_at"] == account["last_synced_at"]
    assert (after["last_error_code"], bool(after["next_action"])) == (code, True)


@pytest.mark.parametrize("other", [WEALTHY, POOR])
async def test_a_list_that_only_the_valuation_contradicts_is_shown_as_disagreeing(
    person: Person, path: str, admin: Admin, other: str
) -> None:
    """Another account's list fits its own total: it is shown, and nothing about it looks right."""
    await admin.put(KEEPER, BALANCE, {"fault": "foreign", "account": other})
    await until(passed(1.0))  # of the totals one call a second is allowed

    sync = await person.post(f"{path}/sync", Prefer="wait=60")
    await admin.clear(KEEPER, BALANCE)
    shown, holdings = await wallets(person, path), await person.get(f"{path}/holdings")

    assert (sync["status"], sync["error_code"]) == ("partial", "total_disagrees")
    assert sync["wallets"][0]["total_check"] == "disagrees"
    assert shown["trading"]["total_check"] == "disagrees"
    assert (holdings["complete"], holdings["total_checks"]["trading"]) == (False, "disagrees")


async def test_an_asset_whose_row_can_not_be_read_keeps_its_amount(
    person: Person, path: str, admin: Admin
) -> None:
    """The wallet is incomplete and says why, the other rows are new, and the holdings are not complete."""
    await until(passed(1.0))
    assert (await person.post(f"{path}/sync"))["success"] is True
    good = await wallets(person, path)
    await admin.put(KEEPER, BALANCE, damaged("replaced", "eq", '"NaN"'))
    await until(passed(1.0))

    sync = await person.post(f"{path}/sync", Prefer="wait=60")
    await admin.clear(KEEPER, BALANCE)
    shown, holdings = await wallets(person, path), await person.get(f"{path}/holdings")

    assert (sync["status"], sync["error_code"]) == ("partial", "unreadable_rows")
    trading = shown["trading"]
    assert (trading["state"], trading["unreadable_rows"]) == ("incomplete", 1)
    assert {row["asset"]: row["total"] for row in trading["balances"]} == TRADING
    stale = {row["stale_as_of"] for row in trading["balances"]}
    assert stale == {None, good["trading"]["as_of"]}
    assert (holdings["complete"], holdings["incomplete_wallets"]) == (False, ["trading"])


async def test_assets_that_vanish_without_a_confirmation_stay(
    person: Person, path: str, admin: Admin
) -> None:
    """Where no total can be read, a shorter list stands beside the old one, until a total confirms it."""
    await until(passed(1.0))
    assert (await person.post(f"{path}/sync"))["success"] is True
    row = '{"ccy": "USDT", "eq": "2500.25", "eqUsd": "2500.25"}'
    short = damaged("replaced", "data", f'[{{"totalEq": "", "details": [{row}]}}]')
    await admin.put(KEEPER, BALANCE, short)
    await admin.put(KEEPER, VALUATION, {"fault": "refusal", "code": "50011"})

    sync = await person.post(f"{path}/sync", Prefer="wait=60")
    shown, holdings = await wallets(person, path), await person.get(f"{path}/holdings")

    assert (sync["status"], sync["error_code"]) == ("partial", "unconfirmed_loss")
    assert sync["wallets"][0]["verdict"] == "incomplete"
    trading = shown["trading"]
    assert (trading["state"], trading["error_code"]) == ("stale", "unconfirmed_loss")
    assert {row["asset"]: row["total"] for row in trading["balances"]} == TRADING
    assert trading["unconfirmed"]["missing"] == ["BTC"]
    assert [row["asset"] for row in trading["unconfirmed"]["balances"]] == ["USDT"]
    assert (holdings["complete"], holdings["stale_wallets"]) == (False, ["trading"])

    fits = damaged("replaced", "data", f'[{{"totalEq": "2500.25", "details": [{row}]}}]')
    await admin.put(KEEPER, BALANCE, fits)
    await person.post(f"{path}/sync", Prefer="wait=60")
    await admin.clear(KEEPER, BALANCE)
    await admin.clear(KEEPER, VALUATION)
    trading = (await wallets(person, path))["trading"]
    assert (trading["state"], trading["unconfirmed"]) == ("fresh", None)
    assert [row["asset"] for row in trading["balances"]] == ["USDT"]
