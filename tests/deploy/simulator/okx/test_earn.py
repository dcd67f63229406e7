"""The earn products and open positions of the simulated exchange, as documented and as others read them."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from deploy.simulator.limits import Limiter
from deploy.simulator.okx.accounts import Accounts
from deploy.simulator.okx.exchange import Okx
from deploy.simulator.types import Request
from tests.deploy.simulator.okx.test_clients import run

FINANCE = "/api/v5/finance"
DUAL = f"{FINANCE}/sfp/dcd/order-history"
ETH = f"{FINANCE}/staking-defi/eth/balance"
EXAMPLES = {
    f"{FINANCE}/savings/balance": "finance_savings.0",
    ETH: "finance_eth_balance.0",
    f"{FINANCE}/staking-defi/sol/balance": "finance_sol_balance.0",
    f"{FINANCE}/stable-rewards/balance": "finance_stable-rewards_balance.0",
    DUAL: "finance_dcd_order-history.0",
    "/api/v5/account/positions": "account_positions.0",
    f"{FINANCE}/flexible-loan/loan-info": "finance_flexible-loan_loan-info.0",
}
# The example misspells this field of the documented table.
MISSPELT = {"redeemEndime": "redeemEndTime"}
PYTHON_OKX = """
import json, sys
from okx.Account import AccountAPI
from okx.DualInvest import DualInvestAPI
from okx.Finance.EthStaking import EthStakingAPI
from okx.Finance.Savings import SavingsAPI
from okx.Finance.SolStaking import SolStakingAPI
from okx.Finance.StakingDefi import StakingDefiAPI
key, secret, passphrase, address = json.load(sys.stdin)
def api(kind):
    return kind(key, secret, passphrase, flag="0", domain=address)
answers = {
    "positions": api(AccountAPI).get_positions(),
    "savings": api(SavingsAPI).get_saving_balance(),
    "orders": api(StakingDefiAPI).get_activity_orders(),
    "dual": api(DualInvestAPI).get_order_history(state="live"),
    "eth": api(EthStakingAPI).eth_balance(),
    "sol": api(SolStakingAPI).sol_balance(),
}
json.dump(answers, sys.stdout)
"""


@pytest.fixture(name="ask")
def _ask(accounts: Accounts, signed: Callable[..., Request]) -> Callable[..., Any]:
    """Call a separate exchange, so that limits play no part."""

    def ask(account: str, target: str) -> Any:
        return Okx(accounts, Limiter(strict=False)).answer(signed(target, account)).body["data"]

    return ask


@pytest.mark.parametrize("target", EXAMPLES)
def test_rows_have_the_keys_of_the_documented_example(
    ask: Callable[..., Any], facts: Path, target: str
) -> None:
    """All of them are texts or lists, as there."""
    (documented, *_) = json.loads((facts / "doc-examples" / "okx" / f"{EXAMPLES[target]}.json").read_text())[
        "data"
    ]
    accounts = {"positions": "margin", "loan-info": "borrower"}
    (row, *_) = ask(accounts.get(target.rpartition("/")[2], "earner"), target)

    assert {MISSPELT.get(key, key): type(value) for key, value in documented.items()} == {
        key: type(value) for key, value in row.items()
    }


def test_what_is_staked_is_counted_in_both_wallets_and_in_redemption(ask: Callable[..., Any]) -> None:
    """BETH is reported as one amount, as the exchange documents it."""
    (row,) = ask("earner", ETH)

    assert (row["ccy"], row["amt"]) == ("BETH", "0.88926191")
    assert ask("plain", ETH) == []


def test_dual_investments_are_paged_and_filtered(ask: Callable[..., Any]) -> None:
    """A page has 100 orders at most, the newest first; older ones come before an id, or by state."""
    page = ask("fixed-earner", f"{DUAL}?limit=100")
    rest = ask("fixed-earner", f"{DUAL}?endId={page[-1]['ordId']}")

    assert (len(page), {row["state"] for row in page}) == (100, {"settled"})
    assert [row["state"] for row in rest] == ["settled"] * 20 + ["pending_redeem"]
    assert [row["ordId"] for row in ask("fixed-earner", f"{DUAL}?state=pending_redeem&limit=100")] == [
        "800001"
    ]


def test_loans_are_valued_and_in_no_other_list(ask: Callable[..., Any]) -> None:
    """The collateral is neither in a wallet nor in the valuation; one loan can be asked for by its id."""
    loans = ask("borrower", f"{FINANCE}/flexible-loan/loan-info")
    (one,) = ask("borrower", f"{FINANCE}/flexible-loan/loan-info?ordId=41002")
    (valuation,) = ask("borrower", "/api/v5/asset/asset-valuation?ccy=USD")

    assert [(loan["collateralNotionalUsd"], loan["loanNotionalUsd"]) for loan in loans] == [
        ("36000", "11994"),
        ("6400", "1500.5"),
    ]
    assert (one["ordId"], one["curLTV"]) == ("41002", "0.2345")
    assert Decimal(valuation["totalBal"]) == Decimal("529.75")


def test_the_valuation_of_earn_is_the_sum_of_its_products(
    ask: Callable[..., Any], accounts: Accounts
) -> None:
    """With what no list shows: what is in redemption, and Simple Earn Fixed."""
    prices = accounts.prices
    (earner,) = ask("earner", "/api/v5/asset/asset-valuation?ccy=USD")
    (fixed,) = ask("fixed-earner", "/api/v5/asset/asset-valuation?ccy=USD")

    parts = {"BTC": "1.75", "USDT": "231.0010737453457821", "SOL": "5", "BETH": "0.25", "OKSOL": "1"}
    worth = sum((Decimal(amount) * prices[ccy] for ccy, amount in parts.items()), Decimal(0))
    assert Decimal(earner["details"]["earn"]) == worth.quantize(Decimal("1E-18"))
    assert Decimal(fixed["details"]["earn"]) == Decimal("310.5") + 60 * prices["USDT"]


def test_python_okx_reads_every_earn_product(simulator: Any, accounts: Accounts) -> None:
    """The exchange's own client gets the digits of the file."""
    account = accounts["earner"]
    given = [account.api_key, account.api_secret, account.passphrase, simulator.regions["global"]]

    answers = run(PYTHON_OKX, given, SSL_CERT_FILE=simulator.address["ca"])

    assert {"0"} == {answer["code"] for answer in answers.values()}
    data = {name: answer["data"] for name, answer in answers.items()}
    assert {row["ccy"]: row["amt"] for row in data["savings"]} == {
        row["ccy"]: row["amt"] for row in account.savings
    }
    assert [row["investData"] for row in data["orders"]] == [row["investData"] for row in account.staking]
    assert [row["notionalSz"] for row in data["dual"]] == ["1.5"]
    assert (data["eth"][0]["amt"], data["sol"][0]["amt"], data["positions"]) == ("0.88926191", "3", [])
