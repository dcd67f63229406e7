"""The worker reads every earn product of a real account of the simulated exchange, and its positions."""

from decimal import Decimal

import pytest

from contracts.faults import Code
from contracts.syncs import Status, TotalCheck, Verdict
from deploy.simulator.okx.accounts import Accounts
from tests.sync_worker import scripted as script
from tests.sync_worker.scripted import DUAL, ETH, ScriptedExchange
from tests.sync_worker.system import Gateway, Worker


async def test_the_products_of_an_account_are_one_wallet(
    worker: Worker, gateway: Gateway, accounts: Accounts
) -> None:
    """BETH and OKSOL count in earn only as far as they are in redemption, and USDG not at all."""
    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["earner"])))

    earn = outcome.wallets[2]
    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 1)
    assert (earn.verdict, earn.total_check) == (Verdict.COMPLETE, TotalCheck.AGREES)
    assert {each.asset: each.total for each in earn.balances or ()} == {
        "BTC": Decimal("1.75"),
        "USDT": Decimal("231.0010737453457821"),
        "SOL": Decimal(5),
        "BETH": Decimal("0.25"),
        "OKSOL": Decimal(1),
    }


async def test_loans_are_found_beside_the_wallets(
    worker: Worker, gateway: Gateway, accounts: Accounts
) -> None:
    """Their collateral is in no list, and the sync is complete; the trading list shows OKX's prices."""
    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["borrower"])))

    (loans,) = outcome.uncovered
    (said,) = loans.listed or ()
    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 1)
    assert (loans.part, said.worth_usd) == ("flexible_loans", Decimal("28905.5"))
    assert outcome.wallets[0].prices == {"OLDT": Decimal("0.25"), "USDT": Decimal("0.9995")}
    assert not any(each.balances for each in outcome.wallets[2:])


@pytest.mark.parametrize(("number", "code"), [("50120", Code.PERMISSION_MISSING), ("58002", None)])
async def test_loans_that_are_refused_are_no_fault_of_a_wallet(
    worker: Worker,
    gateway: Gateway,
    scripted: ScriptedExchange,
    accounts: Accounts,
    number: str,
    code: Code | None,
) -> None:
    """The sync is complete at the first try; a product that was never opened holds nothing."""
    scripted.scripts[script.LOANS] = script.refusal(number)

    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["plain"]), "us"))

    (loans,) = outcome.uncovered
    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 1)
    assert (loans.error_code, loans.listed) == (code, None if code else ())


async def test_loans_that_could_not_be_read_for_a_moment_delay_no_sync(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, accounts: Accounts
) -> None:
    """No number depends on them, so no other try is made."""
    scripted.scripts[script.LOANS] = script.refusal("50011")

    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["plain"]), "us"))

    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 1)
    assert outcome.uncovered[0].error_code == Code.RATE_LIMITED
    assert scripted.targets().count(script.LOANS) == 1


async def test_orders_behind_a_full_page_are_read_by_state(
    worker: Worker, gateway: Gateway, accounts: Accounts
) -> None:
    """120 ended dual investments are newer than the one that holds money; the limit of one a second holds."""
    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["fixed-earner"])))

    earn = outcome.wallets[2]
    assert outcome.attempt == 1
    assert [(each.asset, str(each.total)) for each in earn.balances or ()] == [("USDT", "60")]
    assert (earn.verdict, earn.total_check) == (Verdict.COMPLETE, TotalCheck.DISAGREES)
    assert earn.totals is not None
    assert earn.totals.listed is not None
    assert earn.totals.valued is not None
    assert earn.totals.valued - earn.totals.listed == Decimal("310.5")


async def test_positions_come_with_the_trading_wallet(
    worker: Worker, gateway: Gateway, accounts: Accounts
) -> None:
    """Margin, swap and option; they change no balance."""
    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["margin"])))

    trading = outcome.wallets[0]
    assert [(each.kind, each.side) for each in trading.positions or ()] == [
        ("margin", "long"),
        ("swap", "short"),
        ("option", "long"),
    ]
    assert {each.asset: str(each.total) for each in trading.balances or ()} == {
        row["ccy"]: row["eq"] for row in accounts["margin"].trading
    }


async def test_a_part_of_earn_that_passes_is_tried_again(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, accounts: Accounts
) -> None:
    """The second try reads it; orders that OKX allows once a second are asked for again in the same try."""
    scripted.scripts[ETH] = script.first(script.refusal("50026"), scripted.scripts[ETH])
    scripted.scripts[DUAL] = script.first(script.refusal("50011"), scripted.scripts[DUAL])

    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["plain"]), "us"))

    assert (outcome.status, outcome.attempt) == (Status.COMPLETED, 2)
    assert scripted.targets().count(DUAL) == 3


async def test_a_key_that_may_not_read_earn_reads_the_other_wallets(
    worker: Worker, gateway: Gateway, scripted: ScriptedExchange, accounts: Accounts
) -> None:
    """That wallet alone is not permitted, at the first try."""
    scripted.scripts |= dict.fromkeys(script.EARN, script.refusal("50120"))

    outcome = await gateway.sync(gateway.request(await gateway.store(accounts["plain"]), "us"))

    assert (outcome.status, outcome.attempt) == (Status.PARTIAL, 1)
    assert [read.verdict for read in outcome.wallets] == [
        Verdict.COMPLETE,
        Verdict.COMPLETE,
        Verdict.NOT_PERMITTED,
    ]
    assert outcome.wallets[2].error_code == Code.PERMISSION_MISSING
