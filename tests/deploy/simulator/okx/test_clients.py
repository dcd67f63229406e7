"""Third-party clients read the simulator, unmodified except for their options."""

import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from deploy.simulator.okx.accounts import Account, Accounts

# To import a foreign client alone takes seconds of CPU.
SECONDS = 90
PYTHON_OKX = """
import json, sys
from okx.Account import AccountAPI
from okx.Funding import FundingAPI
key, secret, passphrase, address = json.load(sys.stdin)
account, funding = (
    api(key, secret, passphrase, flag="0", domain=address) for api in (AccountAPI, FundingAPI)
)
answers = {
    "config": account.get_account_config(),
    "trading": account.get_account_balance(),
    "some": account.get_account_balance("BTC,USDT"),
    "funding": funding.get_balances(),
    "valuation": funding.get_asset_valuation("USD"),
}
json.dump(answers, sys.stdout)
"""

CCXT = """
import ccxt, json, sys
client = ccxt.okx(json.load(sys.stdin))
json.dump([client.fetch_balance(), client.fetch_balance({"type": "funding"})], sys.stdout)
"""


def run(program: str, given: object, **environment: str) -> Any:
    """Run a third-party client in a separate process, because that sets its trusted authority."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=json.dumps(given),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    return json.loads(ran.stdout)


def options(account: Account, simulator: Any) -> dict[str, Any]:
    """Return the options for ccxt with an account at another host."""
    return {
        "apiKey": account.api_key,
        "secret": account.api_secret,
        "password": account.passphrase,
        "hostname": f"127.0.0.1:{simulator.port}",
    }


def held(balance: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return total, free and used of each currency according to ccxt."""
    return {ccy: {part: balance[ccy][part] for part in ("total", "free", "used")} for ccy in balance["total"]}


@pytest.mark.parametrize("name", ["plain", "margin"])
def test_python_okx_reads_every_wallet(simulator: Any, accounts: Accounts, name: str) -> None:
    """The exchange's own client gets the digits of the file, with a raw comma in a signed query."""
    account = accounts[name]
    given = [account.api_key, account.api_secret, account.passphrase, simulator.regions["global"]]

    answers = run(PYTHON_OKX, given, SSL_CERT_FILE=simulator.address["ca"])

    assert {"0"} == {answer["code"] for answer in answers.values()}
    assert answers["config"]["data"][0]["perm"] == "read_only"
    assert {row["ccy"]: row["eq"] for row in account.trading} == {
        row["ccy"]: row["eq"] for row in answers["trading"]["data"][0]["details"]
    }
    assert [row["ccy"] for row in answers["some"]["data"][0]["details"]] == ["BTC", "USDT"]
    assert {row["ccy"]: row["bal"] for row in account.funding} == {
        row["ccy"]: row["bal"] for row in answers["funding"]["data"]
    }
    assert answers["valuation"]["data"][0]["details"]["trading"] == answers["trading"]["data"][0]["totalEq"]


def test_ccxt_reads_a_spot_account(simulator: Any, accounts: Accounts) -> None:
    """Both wallets have the totals, free and used amounts of the file."""
    given = options(accounts["plain"], simulator) | {"requests_trust_env": True}

    answers = run(CCXT, given, REQUESTS_CA_BUNDLE=simulator.address["ca"])
    trading, funding = (held(answer) for answer in answers)

    assert trading["BTC"] == {"total": 0.049, "free": 0.04, "used": 0.009}
    assert {"BTC", "SOL", "USDT"} == trading.keys()
    assert funding["USDT"] == {"total": 250.75, "free": 250.75, "used": 0.0}
    assert {"ETH", "PEPE", "USDT"} == funding.keys()


async def test_asynchronous_ccxt_reads_a_margin_account(simulator: Any, accounts: Accounts) -> None:
    """Debt is a negative total, and available equity counts before the available balance."""
    given = options(accounts["margin"], simulator) | {"cafile": simulator.address["ca"]}
    async with ccxt.async_support.okx(given) as client:
        trading = held(await client.fetch_balance())
        everything = await client.private_get_account_balance({"ccy": "BTC,ETH"})

    assert trading["USDT"] == {"total": -5000.123456789, "free": 0.0, "used": -5000.123456789}
    assert trading["BTC"] == {"total": 0.75, "free": 0.5, "used": 0.25}
    assert [row["ccy"] for row in everything["data"][0]["details"]] == ["BTC", "ETH"]


async def test_ccxt_sees_two_hundred_assets(simulator: Any, accounts: Accounts) -> None:
    """The wallets are read whole; every amount is exact in the payload that ccxt passes on."""
    given = options(accounts["rich"], simulator) | {"cafile": simulator.address["ca"]}
    async with ccxt.async_support.okx(given) as client:
        trading = await client.fetch_balance()
        funding = await client.fetch_balance({"type": "funding"})
    rows = trading["info"]["data"][0]["details"]

    assert len(trading["total"].keys() | funding["total"].keys()) == 200
    assert {row["ccy"]: Decimal(row["eq"]) for row in accounts["rich"].trading} == {
        row["ccy"]: Decimal(row["eq"]) for row in rows
    }


async def test_ccxt_recognises_refusals(simulator: Any, accounts: Accounts) -> None:
    """Codes become the exception classes of ccxt."""
    plain = options(accounts["plain"], simulator) | {"cafile": simulator.address["ca"]}
    bound = options(accounts["ip-bound"], simulator) | {"cafile": simulator.address["ca"]}
    wrong_secret = plain | {"secret": accounts["rich"].api_secret}
    wrong_phrase = plain | {"password": "wrong"}
    eea = plain | {"apiKey": accounts["eea"].api_key}

    assert "50113" in await refused(wrong_secret, ccxt.AuthenticationError)
    assert "50105" in await refused(wrong_phrase, ccxt.AuthenticationError)
    assert "50110" in await refused(bound, ccxt.PermissionDenied)
    assert "50119" in await refused(eea, ccxt.ExchangeError)


async def refused(given: dict[str, Any], kind: type[Exception]) -> str:
    """Request the configuration and return the text of ccxt's error, which must be of this kind."""
    async with ccxt.async_support.okx(given) as client:
        with pytest.raises(kind) as raised:
            await asyncio.wait_for(client.private_get_account_config(), timeout=10)
    return str(raised.value)
