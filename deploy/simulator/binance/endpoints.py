"""The endpoints by host, with their weights and responses.

Weights are those that the exchange documents, in its pages or its own clients. The limits of the hosts other
than the first one stand in their exchangeInfo and are not in the documentation: 2,400 a minute is assumed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.simulator.binance import totals, wallets
from deploy.simulator.binance.question import Inquiry, Question
from deploy.simulator.binance.weights import Budget

API = Budget("api", 6000, ("X-MBX-USED-WEIGHT", "X-MBX-USED-WEIGHT-1M"))
SAPI_LIMIT, SAPI_HEADERS = 12_000, ("X-SAPI-USED-IP-WEIGHT-1M",)
HOSTS = {host: Budget(host, 2400, ("X-MBX-USED-WEIGHT-1M",)) for host in ("fapi", "dapi", "papi", "eapi")}
READING = "enableReading"


@dataclass(frozen=True, slots=True)
class Public:
    """An endpoint without a key; some weights depend on the parameters."""

    weight: int | Callable[[Mapping[str, str]], int]
    body: Callable[[Inquiry], Any]


@dataclass(frozen=True, slots=True)
class Signed:
    """An endpoint with signed requests; its key needs all `rights`, and its account the `product`."""

    weight: int
    body: Callable[[Question], Any]
    rights: tuple[str, ...] = (READING,)
    product: str | None = None


def server_time(inquiry: Inquiry) -> Any:
    """Return the exchange's time."""
    return {"serverTime": inquiry.stamp(inquiry.now)}


def ping(_inquiry: Inquiry) -> Any:
    """Return nothing."""
    return {}


def system_status(inquiry: Inquiry) -> Any:
    """Return whether an announced maintenance is under way."""
    if inquiry.upkeep is not None and inquiry.upkeep.announced:
        return {"status": 1, "msg": "system_maintenance"}
    return {"status": 0, "msg": "normal"}


ENDPOINTS: dict[tuple[str, str, str], Public | Signed] = {
    ("", "GET", "/api/v3/time"): Public(1, server_time),
    ("", "GET", "/api/v3/ping"): Public(1, ping),
    ("", "GET", "/sapi/v1/system/status"): Public(1, system_status),
    ("", "GET", "/sapi/v1/account/apiRestrictions"): Signed(1, wallets.api_restrictions, ()),
    ("", "GET", "/sapi/v1/account/info"): Signed(1, wallets.account_info),
    ("", "GET", "/api/v3/account"): Signed(20, wallets.account),
    ("", "POST", "/sapi/v3/asset/getUserAsset"): Signed(5, wallets.user_assets),
    ("", "POST", "/sapi/v1/asset/get-funding-asset"): Signed(1, wallets.funding_assets),
    ("", "GET", "/sapi/v1/asset/wallet/balance"): Signed(60, totals.wallet_balance),
}

PATHS = frozenset(path for _, _, path in ENDPOINTS)
PUBLIC = frozenset(path for (_, _, path), each in ENDPOINTS.items() if isinstance(each, Public))


def budget_of(host: str, path: str) -> Budget:
    """Return what a call counts against; each endpoint under /sapi has a counter of its own."""
    if host:
        return HOSTS[host]
    return Budget(path, SAPI_LIMIT, SAPI_HEADERS) if path.startswith("/sapi/") else API
