"""Third-party clients see the same amounts at the exchange as our API shows."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from decimal import Decimal
from typing import Any

import ccxt.async_support
import pytest

from deploy.local.simulator import Simulator
from tests.system.person import SIMULATED, Person

PYTHON_OKX = """
import json, sys
from okx.Account import AccountAPI
from okx.Funding import FundingAPI
key, secret, passphrase, address = json.load(sys.stdin)
account, funding = (
    api(key, secret, passphrase, flag="0", domain=address) for api in (AccountAPI, FundingAPI)
)
json.dump([account.get_account_balance(), funding.get_balances()], sys.stdout)
"""


async def shown(person: Person, name: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the amounts that our API shows of an account, by wallet and asset."""
    account = await person.connect(name)
    assert (await person.post(f"/accounts/{account['id']}/sync"))["success"] is True
    balances = await person.get(f"/accounts/{account['id']}/balances")
    return {
        wallet["wallet"]: {row["asset"]: row for row in wallet["balances"] or ()}
        for wallet in balances["wallets"]
    }


@pytest.mark.parametrize("name", ["plain", "margin", "rich"])
async def test_python_okx_sees_what_our_api_shows(person: Person, exchange: Simulator, name: str) -> None:
    """The exchange's own client gets the same digits."""
    account, wallets = SIMULATED[name], await shown(person, name)
    given = [account.api_key, account.api_secret, account.passphrase, exchange.exchanges["okx"]["global"]]
    environment = os.environ | {"SSL_CERT_FILE": exchange.ca}
    command = [sys.executable, "-W", "ignore", "-c", PYTHON_OKX]
    client = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment)
    output, _ = await asyncio.wait_for(client.communicate(json.dumps(given).encode()), 20)
    trading, funding = json.loads(output)

    assert {row["ccy"]: row["eq"] for row in trading["data"][0]["details"]} == {
        asset: row["total"] for asset, row in wallets["trading"].items()
    }
    assert {row["ccy"]: (row["bal"], row["availBal"]) for row in funding["data"]} == {
        asset: (row["total"], row["available"]) for asset, row in wallets["funding"].items()
    }


@pytest.mark.parametrize("name", ["plain", "margin"])
async def test_ccxt_sees_what_our_api_shows(person: Person, exchange: Simulator, name: str) -> None:
    """Totals and free amounts are the same, within the precision of ccxt's floats."""
    account, wallets = SIMULATED[name], await shown(person, name)
    options = {
        "apiKey": account.api_key,
        "secret": account.api_secret,
        "password": account.passphrase,
        "hostname": exchange.exchanges["okx"]["global"].removeprefix("https://"),
        "cafile": exchange.ca,
    }
    async with ccxt.async_support.okx(options) as client:
        for wallet, parameters in (("trading", {}), ("funding", {"type": "funding"})):
            seen = await client.fetch_balance(parameters)
            assert {asset: (seen[asset]["total"], seen[asset]["free"]) for asset in seen["total"]} == {
                asset: (float(Decimal(row["total"])), float(Decimal(row["available"])))
                for asset, row in wallets[wallet].items()
            }
