"""Third-party clients read the simulator, unmodified except for their options, and agree with each other.

python-binance and binance-connector install a module of one name, so they run in two environments.
"""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt.async_support
import pytest

from deploy.simulator.binance.accounts import Account, load_accounts
from tests.deploy.simulator.binance.conftest import FILE

# To import a foreign client alone takes seconds of CPU.
SECONDS = 120
CLIENTS = Path(__file__).parents[4] / ".venv" / "clients" / "bin" / "python"
ACCOUNTS = load_accounts(FILE)
NAMES = ("trader", "ed25519", "rsa")

# Each client reads the accounts that it is given, and writes its results for each.
OFFICIAL = """
import json, sys
from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_simple_earn.simple_earn import SimpleEarn
from binance_sdk_spot.spot import Spot
from binance_sdk_wallet.wallet import Wallet

def plain(answer):
    data = answer.data()
    return [row.to_dict() for row in data] if isinstance(data, list) else data.to_dict()

def read(key, secret, private, hosts):
    own = {"private_key": private} if private else {"api_secret": secret}
    options = ConfigurationRestAPI(
        api_key=key, base_path=hosts["global"], retries=0, timeout=20000, **own
    )
    wallet, spot, earn = (kind(config_rest_api=options).rest_api for kind in (Wallet, Spot, SimpleEarn))
    return {
        "rights": plain(wallet.get_api_key_permission()),
        "info": plain(wallet.account_info()),
        "user": plain(wallet.user_asset(need_btc_valuation=True)),
        "funding": plain(wallet.funding_wallet()),
        "totals": plain(wallet.query_user_wallet_balance()),
        "status": plain(wallet.system_status()),
        "account": plain(spot.get_account(omit_zero_balances=True)),
        "rules": len(plain(spot.exchange_info())["symbols"]),
        "flexible": plain(earn.get_flexible_product_position())["rows"],
        "locked": plain(earn.get_locked_product_position())["rows"],
        "earn": plain(earn.simple_account()),
        "bfusd": plain(earn.get_bfusd_account()),
        "rwusd": plain(earn.get_rwusd_account()),
    }

json.dump([read(*given) for given in json.load(sys.stdin)], sys.stdout)
"""

PYTHON_BINANCE = """
import json, sys
from binance.client import Client

def read(key, secret, private, hosts):
    client = Client(key, secret or None, private_key=private or None, ping=False)
    client.API_URL, client.MARGIN_API_URL = hosts["global"] + "/api", hosts["global"] + "/sapi"
    client.FUTURES_URL = hosts["global_fapi"] + "/fapi"
    futures = client.get_account_api_permissions()["enableFutures"]
    return {
        "rights": client.get_account_api_permissions(),
        "user": client.get_user_asset(needBtcValuation="true"),
        "funding": client.funding_wallet(),
        "account": client.get_account(omitZeroBalances="true"),
        "flexible": client.get_simple_earn_flexible_product_position()["rows"],
        "margin": client.get_margin_account() if futures else None,
        "usdm": client.futures_account()["assets"] if futures else None,
    }

json.dump([read(*given) for given in json.load(sys.stdin)], sys.stdout)
"""

CONNECTOR = """
import json, sys
from binance.spot import Spot

def read(key, secret, private, hosts):
    client = Spot(key, secret or None, base_url=hosts["global"], private_key=private or None)
    return {
        "rights": client.api_key_permissions(),
        "user": client.user_asset(needBtcValuation="true"),
        "funding": client.funding_wallet(),
        "account": client.account(omitZeroBalances="true"),
        "flexible": client.get_flexible_product_position()["rows"],
        "margin": client.margin_account() if client.api_key_permissions()["enableFutures"] else None,
    }

json.dump([read(*given) for given in json.load(sys.stdin)], sys.stdout)
"""


def run(python: Path | str, program: str, simulator: Any) -> dict[str, Any]:
    """Run a third-party client in a process of its own, and return its results for each account."""
    given = [
        (account.api_key, account.api_secret, account.private_key, simulator.address["exchanges"]["binance"])
        for account in map(ACCOUNTS.__getitem__, NAMES)
    ]
    ran = subprocess.run(
        [python, "-W", "ignore", "-c", program],
        input=json.dumps(given),
        env=os.environ | {"REQUESTS_CA_BUNDLE": simulator.address["ca"]},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return dict(zip(NAMES, json.loads(ran.stdout), strict=True))


def amounts(rows: list[dict[str, Any]], *fields: str) -> dict[str, Decimal]:
    """Return the sum of some fields of each row by its asset."""
    return {row["asset"]: sum((Decimal(row[field]) for field in fields), Decimal(0)) for row in rows}


SPOT = ("free", "locked", "freeze", "withdrawing", "ipoable")


def summary(read: dict[str, Any]) -> dict[str, Any]:
    """Return the results of all clients."""
    return {
        "user": amounts(read["user"], *SPOT),
        "funding": amounts(read["funding"], *SPOT[:-1]),
        "account": amounts(read["account"]["balances"], "free", "locked"),
        "flexible": amounts(read["flexible"], "totalAmount"),
        "uid": read["account"]["uid"],
        "rights": sorted(right for right, granted in read["rights"].items() if granted is True),
    }


def written(account: Account) -> dict[str, Any]:
    """Return the same of the file."""
    whole = [dict.fromkeys(SPOT, "0") | row for row in account.spot]
    return {
        "user": amounts(whole, *SPOT),
        "funding": amounts([dict.fromkeys(SPOT, "0") | row for row in account.funding], *SPOT),
        "account": amounts(whole, "free", "locked"),
        "flexible": amounts(list(account.flexible), "totalAmount"),
        "uid": account.uid,
        "rights": sorted(account.rights),
    }


@pytest.fixture(name="clients", scope="module")
def _clients() -> Path:
    if not CLIENTS.exists():
        pytest.skip("`make test` installs these clients")
    return CLIENTS


def test_the_official_clients_read_every_wallet(simulator: Any, clients: Path) -> None:
    """Their strict models accept each field; keys of all three kinds sign."""
    read = run(clients, OFFICIAL, simulator)

    for name in NAMES:
        assert summary(read[name]) == written(ACCOUNTS[name]), name
    trader = read["trader"]
    assert trader["info"]["isOptionsEnabled"] is True
    assert {row["walletName"] for row in trader["totals"]} >= {"Spot", "Earn", "USDⓈ-M Futures"}
    assert [row["asset"] for row in trader["locked"]] == ["AXS"]
    assert trader["status"] == {"status": 0, "msg": "normal"}
    assert trader["rules"] > 100


def test_python_binance_agrees(simulator: Any, clients: Path) -> None:
    """It sorts parameters before it signs; it reads margin and futures, too."""
    read = run(clients, PYTHON_BINANCE, simulator)

    for name in NAMES:
        assert summary(read[name]) == written(ACCOUNTS[name]), name
    assert amounts(read["trader"]["margin"]["userAssets"], "netAsset")["BNB"] == Decimal("2145.8")
    assert amounts(read["trader"]["usdm"], "marginBalance") == {"USDT": Decimal(110), "BNB": Decimal("0.5")}


def test_binance_connector_agrees(simulator: Any) -> None:
    """The exchange's deprecated client reads the same."""
    read = run(sys.executable, CONNECTOR, simulator)

    for name in NAMES:
        assert summary(read[name]) == written(ACCOUNTS[name]), name
    assert amounts(read["trader"]["margin"]["userAssets"], "netAsset")["BNB"] == Decimal("2145.8")


async def test_ccxt_agrees(simulator: Any) -> None:
    """Spot, funding, cross margin and both futures wallets have the totals of the file."""
    trader = ACCOUNTS["trader"]
    async with ccxt.async_support.binance(options(trader, simulator)) as client:
        repoint(client, simulator)
        spot, funding, margin, usdm, coinm = [
            await client.fetch_balance({"type": kind})
            for kind in ("spot", "funding", "margin", "swap", "delivery")
        ]

    assert {asset: total for asset, total in spot["total"].items() if total} == {"BTC": 0.6, "USDT": 1000.0}
    assert (funding["USDT"]["free"], funding["USDT"]["used"], funding["USDT"]["total"]) == (1.0, 5.0, 6.0)
    assert (margin["BNB"]["total"], margin["BNB"]["debt"]) == (2347.5, 201.7)
    assert (usdm["USDT"]["total"], usdm["USDT"]["used"], usdm["USDT"]["free"]) == (110.0, 20.0, 90.0)
    assert coinm["BTC"]["total"] == 0.0024


async def test_ccxt_recognises_refusals(simulator: Any) -> None:
    """Codes become the exception classes of ccxt."""
    kinds = {
        "no-reading": ccxt.async_support.AuthenticationError,
        "ip-bound": ccxt.async_support.AuthenticationError,
    }
    for name, kind in kinds.items():
        async with ccxt.async_support.binance(options(ACCOUNTS[name], simulator)) as client:
            repoint(client, simulator)
            with pytest.raises(kind, match="-2015"):
                await client.fetch_balance()
    wrong = options(ACCOUNTS["plain"], simulator) | {"secret": "wrong"}
    async with ccxt.async_support.binance(wrong) as client:
        repoint(client, simulator)
        with pytest.raises(ccxt.async_support.AuthenticationError, match="-1022"):
            await client.fetch_balance()


def options(account: Account, simulator: Any) -> dict[str, Any]:
    """Return the options for ccxt; only the pairs of spot are loaded."""
    return {
        "apiKey": account.api_key,
        "secret": account.api_secret,
        "cafile": simulator.address["ca"],
        "options": {
            "fetchMarkets": {"types": ["spot", "linear", "inverse"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        },
    }


def repoint(client: Any, simulator: Any) -> None:
    """Point each address of ccxt at the simulated host."""
    hosts = simulator.address["exchanges"]["binance"]
    for name, url in client.urls["api"].items():
        path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else ""
        host = next((host for host in ("fapi", "dapi", "papi", "eapi") if name.startswith(host)), "")
        client.urls["api"][name] = hosts[f"global_{host}" if host else "global"] + path
