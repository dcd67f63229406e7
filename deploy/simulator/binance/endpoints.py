"""The endpoints by host, with their weights and responses.

The exchange documents the weights in its pages or its own clients. The limits of the hosts other
than the first one stand in their exchangeInfo and are not in the documentation: 2,400 a minute is assumed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.simulator.binance import earn, futures, margin, market, totals, wallets
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


FUTURES, OPTIONS = (READING, "enableFutures"), (READING, "enableVanillaOptions")
PUBLIC_ENDPOINTS: dict[tuple[str, str], Public] = {
    ("", "/api/v3/time"): Public(1, server_time),
    ("", "/api/v3/ping"): Public(1, ping),
    ("", "/api/v3/ticker/price"): Public(market.listing_weight, market.ticker_price),
    # Its weight is not in the documentation that we keep.
    ("", "/api/v3/ticker/bookTicker"): Public(market.listing_weight, market.book_ticker),
    ("", "/api/v3/exchangeInfo"): Public(20, market.exchange_info),
    ("", "/sapi/v1/system/status"): Public(1, system_status),
    ("fapi", "/fapi/v1/exchangeInfo"): Public(1, market.no_pairs),
    ("dapi", "/dapi/v1/exchangeInfo"): Public(1, market.no_pairs),
}
SIGNED_ENDPOINTS: dict[tuple[str, str], Signed] = {
    ("", "/api/v3/account"): Signed(20, wallets.account),
    # Whether it answers a key without the right to read is not documented.
    ("", "/sapi/v1/account/apiRestrictions"): Signed(1, wallets.api_restrictions, ()),
    ("", "/sapi/v1/account/info"): Signed(1, wallets.account_info),
    ("", "/sapi/v1/account/status"): Signed(1, wallets.account_status),
    ("", "/sapi/v1/asset/wallet/balance"): Signed(60, totals.wallet_balance),
    ("", "/sapi/v1/simple-earn/account"): Signed(150, earn.earn_account),
    ("", "/sapi/v1/simple-earn/flexible/position"): Signed(150, earn.flexible),
    ("", "/sapi/v1/simple-earn/locked/position"): Signed(150, earn.locked),
    ("", "/sapi/v2/eth-staking/account"): Signed(150, earn.eth_staking),
    ("", "/sapi/v1/sol-staking/account"): Signed(150, earn.sol_staking),
    ("", "/sapi/v1/bfusd/account"): Signed(150, earn.bfusd),
    ("", "/sapi/v1/rwusd/account"): Signed(150, earn.rwusd),
    ("", "/sapi/v1/soft-staking/list"): Signed(50, earn.soft_staking),
    ("", "/sapi/v1/onchain-yields/account"): Signed(50, earn.onchain_account),
    ("", "/sapi/v1/onchain-yields/locked/position"): Signed(50, earn.onchain),
    ("", "/sapi/v1/dci/product/accounts"): Signed(1, earn.dual_account),
    ("", "/sapi/v1/dci/product/positions"): Signed(1, earn.dual_positions),
    ("", "/sapi/v1/margin/account"): Signed(10, margin.margin_account, product="margin"),
    ("", "/sapi/v1/margin/isolated/account"): Signed(10, margin.isolated_account, product="margin"),
    ("fapi", "/fapi/v2/balance"): Signed(5, futures.usdm_balance, FUTURES, "futures"),
    ("fapi", "/fapi/v3/balance"): Signed(5, futures.usdm_balance, FUTURES, "futures"),
    ("fapi", "/fapi/v2/account"): Signed(5, futures.usdm_account, FUTURES, "futures"),
    ("fapi", "/fapi/v3/account"): Signed(5, futures.usdm_account, FUTURES, "futures"),
    ("fapi", "/fapi/v3/positionRisk"): Signed(5, futures.usdm_positions, FUTURES, "futures"),
    ("dapi", "/dapi/v1/balance"): Signed(1, futures.coinm_balance, FUTURES, "futures"),
    ("dapi", "/dapi/v1/account"): Signed(5, futures.coinm_account, FUTURES, "futures"),
    ("dapi", "/dapi/v1/positionRisk"): Signed(1, futures.coinm_positions, FUTURES, "futures"),
    ("papi", "/papi/v1/balance"): Signed(20, margin.portfolio_balance, product="portfolio_margin"),
    ("papi", "/papi/v1/account"): Signed(20, margin.portfolio_account, product="portfolio_margin"),
    ("eapi", "/eapi/v1/marginAccount"): Signed(3, futures.options_account, OPTIONS, "options"),
}
# Reads, too, although they are posted.
POSTED_ENDPOINTS: dict[tuple[str, str], Signed] = {
    ("", "/sapi/v3/asset/getUserAsset"): Signed(5, wallets.user_assets),
    ("", "/sapi/v1/asset/get-funding-asset"): Signed(1, wallets.funding_assets),
}
ENDPOINTS: dict[tuple[str, str, str], Public | Signed] = {
    (host, method, path): endpoint
    for method, listed in (("GET", PUBLIC_ENDPOINTS | SIGNED_ENDPOINTS), ("POST", POSTED_ENDPOINTS))
    for (host, path), endpoint in listed.items()
}

PATHS = frozenset(path for _, _, path in ENDPOINTS)
PUBLIC = frozenset(path for _, path in PUBLIC_ENDPOINTS)


def budget_of(host: str, path: str) -> Budget:
    """Return the counter of a call; each endpoint under /sapi has a counter of its own."""
    if host:
        return HOSTS[host]
    return Budget(path, SAPI_LIMIT, SAPI_HEADERS) if path.startswith("/sapi/") else API
