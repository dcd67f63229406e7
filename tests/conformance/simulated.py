"""The simulated exchange of these tests: an account for each row of the table, and its faults."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from contracts.syncs import WalletRead
from deploy.local.demo import ACCOUNTS
from deploy.local.simulator import Simulator
from tests.waiting import IN_THE_CLEAR

# More digits than a float keeps.
TRADING = {"BTC": "1.000000000000000001", "USDT": "2500.25"}
FUNDING = {"BTC": "10.000000000000000001", "USDT": "100"}
HELD: dict[str, dict[str, str]] = {"trading": TRADING, "funding": FUNDING, "earn": {}}
# The same amounts at Binance.
HELD_AT = {"okx": HELD, "binance": {"spot": TRADING, "funding": FUNDING}}
LISTED = HELD | HELD_AT["binance"]
# Other accounts, whose lists are worth much more and much less than those of the rows.
WEALTHY, POOR = "wealthy", "poor"
KEEPER = "keeper"
# Two users' accounts with different amounts, as multiples of those of the rows.
NEIGHBOURS = {"alice": Decimal(2), "bob": Decimal(3)}
ONE = Decimal(1)
# Where all endpoints of an exchange are.
BELOW = {"okx": "api/v5/"}
# For tests that kill parts, each with an account of its own.
NUMBERED = [f"account-{number}" for number in range(80)]


def write_accounts(file: Path, names: Iterable[str]) -> None:
    """Write the repository's accounts and those of these tests, some of them of region us and eea."""
    blocks = [_block(number, name) for number, name in enumerate(names, start=1)]
    blocks += [_block(900, WEALTHY, times=Decimal(100)), _block(901, "in-us", "us")]
    blocks += [_block(902, "in-eea", "eea"), _block(903, KEEPER), _block(904, POOR, times=Decimal("0.01"))]
    blocks += [_block(905 + at, name, times=NEIGHBOURS[name]) for at, name in enumerate(NEIGHBOURS)]
    file.write_text("\n".join([ACCOUNTS.read_text(), *blocks]))


def write_binance_accounts(file: Path, names: Iterable[str]) -> None:
    """Write the repository's accounts of Binance and the accounts of these tests."""
    blocks = [_binance_block(number, name) for number, name in enumerate(names, start=1)]
    blocks += [_binance_block(900, WEALTHY, Decimal(100)), _binance_block(901, POOR, Decimal("0.01"))]
    repository = ACCOUNTS.parents[1] / "binance" / ACCOUNTS.name
    file.write_text("\n".join([repository.read_text(), *blocks]))


def _binance_block(number: int, name: str, times: Decimal = ONE) -> str:
    spot, funding = (
        ", ".join(
            f'{{ asset = "{asset}", free = "{Decimal(amount) * times}" }}' for asset, amount in held.items()
        )
        for held in (TRADING, FUNDING)
    )
    return f"""
[[accounts]]
name = "{name}"
api_key = "{number:064X}"
api_secret = "{number:064x}"
uid = 77{number:04}
spot = [{spot}]
funding = [{funding}]
"""


def _block(number: int, name: str, region: str = "global", times: Decimal = ONE) -> str:
    trading, funding = (
        {ccy: str(Decimal(amount) * times) for ccy, amount in held.items()} for held in (TRADING, FUNDING)
    )
    trading_rows = (
        f'{{ ccy = "{ccy}", eq = "{amount}", cashBal = "{amount}", availBal = "{amount}" }}'
        for ccy, amount in trading.items()
    )
    funding_rows = (
        f'{{ ccy = "{ccy}", bal = "{amount}", availBal = "{amount}" }}' for ccy, amount in funding.items()
    )
    return f"""
[[accounts]]
name = "{name}"
api_key = "{UUID(int=number)}"
api_secret = "{number:032X}"
passphrase = "Row-Passphrase-{number}"
region = "{region}"
uid = "77{number:04}"
permissions = ["read_only"]
trading = [{", ".join(trading_rows)}]
funding = [{", ".join(funding_rows)}]
"""


def is_true(read: WalletRead) -> bool:
    """Return whether a read wallet equals the exchange's, to the last digit."""
    return holds_no_other(read) and len(read.balances or ()) == len(LISTED[read.wallet])


def holds_no_other(read: WalletRead) -> bool:
    """Return whether each balance is as the exchange holds it; `available` may be null, but not wrong."""
    held = LISTED[read.wallet]
    return all(
        str(each.total) == held.get(each.asset) and each.available in {each.total, None}
        for each in read.balances or ()
    )


class Admin:
    """The admin port of the simulated exchanges: an owner, and an endpoint, at OKX below `/api/v5/`."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def put(self, owner: str, endpoint: str, fault: dict[str, Any], exchange: str = "okx") -> None:
        """Switch a fault on."""
        response = await self._client.put(_place(owner, endpoint, exchange), json=fault)
        assert response.is_success, response.text

    async def clear(self, owner: str, endpoint: str, exchange: str = "okx") -> None:
        """Switch a fault off."""
        (await self._client.delete(_place(owner, endpoint, exchange))).raise_for_status()

    async def struck(self, owner: str, endpoint: str, exchange: str = "okx") -> int:
        """Count the calls that a fault has struck."""
        response = await self._client.get(_place(owner, endpoint, exchange))
        return int(response.raise_for_status().json()["struck"])


def _place(owner: str, endpoint: str, exchange: str) -> str:
    return f"/{exchange}/{owner}/{BELOW.get(exchange, '')}{endpoint}"


@asynccontextmanager
async def administering(simulator: Simulator | None) -> AsyncIterator[Admin]:
    """Yield the admin port of a simulator that was started with one."""
    assert simulator is not None
    assert simulator.admin is not None
    base = f"{simulator.admin}/faults"
    async with httpx.AsyncClient(verify=IN_THE_CLEAR, base_url=base, timeout=5, trust_env=False) as client:
        yield Admin(client)
