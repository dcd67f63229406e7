"""The demonstration: a user connects simulated accounts, syncs them and sees what they hold and are worth."""

import secrets
import tomllib
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from contracts.exchanges import EXCHANGES
from deploy.local.tables import Row, table
from deploy.local.worth import show_drift, show_history, show_worth

# Writes a past by prices in USD.
Invent = Callable[[Mapping[str, Decimal]], Awaitable[None]]

EXCHANGE, ACCOUNT = "okx", "plain"
SIMULATED = Path(__file__).parents[1] / "simulator"
ACCOUNTS = SIMULATED / EXCHANGE / "accounts.toml"
# The exchanges whose simulated account of that name is connected.
CONNECTED = (EXCHANGE, "binance")
EMAIL = "demo@example.com"
WAIT_SECONDS = 60
CALL_SECONDS = WAIT_SECONDS + 15
COLUMNS = ("asset", "total", "available", "locked", "wallets")
WALLET_COLUMNS = ("wallet", "verdict", "state", "total", "as of")


async def demonstrate(api: str, prices_within: float = 0.0, invent: Invent | None = None) -> bool:
    """Connect the accounts for a new user, sync them and print what they hold; returns whether all did.

    Prices may take `prices_within` seconds to arrive. `invent` writes a past for these holdings by their
    prices, which is then printed. Raises httpx.HTTPError if the API refuses a step.
    """
    password = secrets.token_urlsafe(12)
    async with httpx.AsyncClient(base_url=f"{api}/api/v1", timeout=CALL_SECONDS, trust_env=False) as client:
        await _sign_in(client, password)
        completed = [await _connect(client, exchange) for exchange in CONNECTED]
        prices = await show_worth(client, prices_within)
        if invent is not None:
            await invent(prices)
            await show_history(client)
    print(f"Signed in as {EMAIL} with password {password}")
    return all(completed)


async def _connect(client: httpx.AsyncClient, exchange: str) -> bool:
    """Connect an exchange's account, sync it and print its holdings; returns whether the sync completed."""
    account = await _post(client, "/accounts", _submission(exchange))
    path = f"/accounts/{account['id']}"
    sync = await _post(client, f"{path}/sync", headers={"Prefer": f"wait={WAIT_SECONDS}"})
    holdings = (await client.get(f"{path}/holdings")).raise_for_status().json()
    balances = (await client.get(f"{path}/balances")).raise_for_status().json()
    print(f"\nAccount {account['name']!r} at {account['exchange']}, key ...{account['api_key_hint']}")
    print(f"Sync {sync['sync_id']}: {sync['status']}\n")
    print(table(COLUMNS, [_holding(row) for row in holdings["holdings"] or ()]), end="\n\n")
    print(table(WALLET_COLUMNS, _wallets(sync, balances)), end="\n\n")
    await show_drift(client, account["id"])
    return bool(sync["status"] == "completed")


async def _sign_in(client: httpx.AsyncClient, password: str) -> None:
    """Register the demo user and send its token with every later call."""
    login = {"email": EMAIL, "password": password}
    await _post(client, "/auth/register", login)
    tokens = await _post(client, "/auth/login", login)
    client.headers["Authorization"] = f"Bearer {tokens['access_token']}"


async def _post(
    client: httpx.AsyncClient, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    response = (await client.post(path, json=body, headers=headers)).raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def _submission(exchange: str) -> dict[str, object]:
    """Return the submission of a simulated account with a typed key, as a user would enter it."""
    accounts = tomllib.loads((SIMULATED / exchange / "accounts.toml").read_text())["accounts"]
    account = next(each for each in accounts if each["name"] == ACCOUNT)
    entry = EXCHANGES[exchange]
    credentials = {field.key: account[field.key] for field in entry.typed[0].fields}
    region = account.get("region", entry.regions[0].key)
    submission = {"exchange": entry.key, "name": f"My {entry.name}", "region": region}
    return {**submission, "credentials": credentials}


def _holding(row: Mapping[str, Any]) -> Row:
    """Format an amount, `-` if the exchange did not report it."""
    return [*(row[field] or "-" for field in COLUMNS[:-1]), ", ".join(row["wallets"])]


def _wallets(sync: Mapping[str, Any], balances: Mapping[str, Any]) -> list[Row]:
    verdicts = {each["wallet"]: each["error_code"] or each["verdict"] for each in sync["wallets"]}
    return [
        (
            each["name"],
            verdicts.get(each["wallet"], "-"),
            each["state"],
            each["total_check"] or "-",
            each["as_of"] or "-",
        )
        for each in balances["wallets"]
    ]
