"""The endpoints, with access, rate limits and responses. Limits are those that the exchange documents."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.simulator.limits import Limit
from deploy.simulator.okx import earn, payloads
from deploy.simulator.okx.accounts import Permission
from deploy.simulator.okx.loans import flexible_loans
from deploy.simulator.okx.market import Inquiry, index_tickers, tickers
from deploy.simulator.okx.payloads import Question, feature_unavailable
from deploy.simulator.okx.positions import account_positions
from deploy.simulator.okx.rows import Row
from deploy.simulator.okx.sub_accounts import (
    sub_account_balance,
    sub_account_funding,
    sub_account_list,
)
from deploy.simulator.okx.valuation import asset_valuation


@dataclass(frozen=True, slots=True)
class PublicEndpoint:
    """An endpoint without a key; limited per address."""

    limit: Limit
    rows: Callable[[Inquiry], list[Row]]


@dataclass(frozen=True, slots=True)
class PrivateEndpoint:
    """An endpoint with signed requests; limited per user."""

    limit: Limit
    rows: Callable[[Question], list[Row]]
    permission: Permission = Permission.READ_ONLY


def server_time(inquiry: Inquiry) -> list[Row]:
    """Return the exchange's time."""
    return [{"ts": payloads.milliseconds(inquiry.now)}]


def system_status(inquiry: Inquiry) -> list[Row]:
    """Return the maintenance of the trading service that is announced and under way, if any."""
    upkeep = inquiry.upkeep
    if upkeep is None or not upkeep.announced:
        return []
    begin, end = map(payloads.milliseconds, (upkeep.begin, upkeep.end))
    return [
        {
            "title": "Trading service maintenance",
            "state": "ongoing",
            "begin": begin,
            "end": end,
            "preOpenBegin": "",
            "href": "",
            "serviceType": "5",
            "system": "unified",
            "scheDesc": "",
            "maintType": "1",
            "env": "1",
        }
    ]


PUBLIC = {
    ("GET", "/api/v5/public/time"): PublicEndpoint(Limit(10, 2), server_time),
    ("GET", "/api/v5/public/instruments"): PublicEndpoint(Limit(20, 2), payloads.nothing),
    ("GET", "/api/v5/market/tickers"): PublicEndpoint(Limit(20, 2), tickers),
    ("GET", "/api/v5/market/index-tickers"): PublicEndpoint(Limit(20, 2), index_tickers),
    ("GET", "/api/v5/system/status"): PublicEndpoint(Limit(1, 5), system_status),
}

PRIVATE = {
    ("GET", "/api/v5/account/config"): PrivateEndpoint(Limit(5, 2), payloads.account_config),
    ("GET", "/api/v5/account/balance"): PrivateEndpoint(Limit(10, 2), payloads.account_balance),
    ("GET", "/api/v5/asset/balances"): PrivateEndpoint(Limit(6, 1), payloads.asset_balances),
    ("GET", "/api/v5/asset/asset-valuation"): PrivateEndpoint(Limit(1, 1), asset_valuation),
    ("GET", "/api/v5/account/positions"): PrivateEndpoint(Limit(10, 2), account_positions),
    ("GET", "/api/v5/finance/savings/balance"): PrivateEndpoint(Limit(6, 1), earn.savings),
    ("GET", "/api/v5/finance/staking-defi/orders-active"): PrivateEndpoint(Limit(3, 1), earn.staking_orders),
    ("GET", "/api/v5/finance/sfp/dcd/order-history"): PrivateEndpoint(Limit(1, 1), earn.dual_orders),
    ("GET", "/api/v5/finance/staking-defi/eth/balance"): PrivateEndpoint(Limit(6, 1), earn.eth_balance),
    ("GET", "/api/v5/finance/staking-defi/sol/balance"): PrivateEndpoint(Limit(6, 1), earn.sol_balance),
    ("GET", "/api/v5/finance/stable-rewards/balance"): PrivateEndpoint(Limit(5, 2), earn.stable_rewards),
    ("GET", "/api/v5/finance/flexible-loan/loan-info"): PrivateEndpoint(Limit(5, 2), flexible_loans),
    ("GET", "/api/v5/users/subaccount/list"): PrivateEndpoint(Limit(20, 2), sub_account_list),
    ("GET", "/api/v5/account/subaccount/balances"): PrivateEndpoint(Limit(6, 2), sub_account_balance),
    ("GET", "/api/v5/asset/subaccount/balances"): PrivateEndpoint(Limit(6, 2), sub_account_funding),
    ("GET", "/api/v5/asset/currencies"): PrivateEndpoint(Limit(6, 1), payloads.nothing),
    ("POST", "/api/v5/trade/order"): PrivateEndpoint(Limit(60, 2), feature_unavailable, Permission.TRADE),
    ("POST", "/api/v5/asset/transfer"): PrivateEndpoint(Limit(2, 1), feature_unavailable, Permission.TRADE),
    ("POST", "/api/v5/asset/withdrawal"): PrivateEndpoint(
        Limit(6, 1), feature_unavailable, Permission.WITHDRAW
    ),
}

PATHS = frozenset(path for _, path in (*PUBLIC, *PRIVATE))
