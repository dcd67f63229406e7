"""OKX. Source: https://www.okx.com/docs-v5/en/."""

from contracts.exchanges.keys import CredentialField, CredentialKind
from contracts.exchanges.types import (
    Budget,
    Endpoint,
    Exchange,
    PublicRead,
    Region,
    UnservedRegion,
    Wallet,
)
from contracts.values import MIN_KEY_BYTES

OKX = Exchange(
    key="okx",
    name="OKX",
    regions=(
        Region("global", "Global (www.okx.com)", "https://openapi.okx.com"),
        Region("eea", "Europe (my.okx.com)", "https://eea.okx.com"),
        Region("us", "United States and Australia (app.okx.com)", "https://us.okx.com"),
    ),
    credential_kinds=(
        CredentialKind(
            "hmac",
            "API key with a secret",
            fields=(
                CredentialField("api_key", "API key", secret=False, help="OKX lists it under API keys."),
                CredentialField(
                    "api_secret",
                    "Secret key",
                    secret=True,
                    shortest=MIN_KEY_BYTES,
                    signs=True,
                    help="OKX shows it with the key.",
                ),
                CredentialField(
                    "passphrase",
                    "Passphrase",
                    secret=True,
                    help="You chose it when you made the key. OKX can not show it again.",
                ),
            ),
        ),
    ),
    wallets=(
        Wallet("trading", "Trading account"),
        Wallet("funding", "Funding account"),
        Wallet("earn", "Earn"),
    ),
    read_only_permissions=frozenset({"read_only"}),
    further_permissions=frozenset({"trade", "withdraw"}),
    position_wallets=("trading",),
    valued_wallets=("earn",),
    added_wallets=("earn",),
    sub_account_wallets=("trading", "funding"),
    scheme="okx",
    reads={
        "account_config": Endpoint("GET", "/api/v5/account/config"),
        "account_balance": Endpoint("GET", "/api/v5/account/balance", frozenset({"ccy"})),
        "asset_balances": Endpoint("GET", "/api/v5/asset/balances", frozenset({"ccy"})),
        "asset_valuation": Endpoint("GET", "/api/v5/asset/asset-valuation", frozenset({"ccy"})),
        "savings_balance": Endpoint("GET", "/api/v5/finance/savings/balance"),
        "staking_orders": Endpoint("GET", "/api/v5/finance/staking-defi/orders-active"),
        "dual_orders": Endpoint(
            "GET", "/api/v5/finance/sfp/dcd/order-history", frozenset({"state", "limit"})
        ),
        "eth_staking": Endpoint("GET", "/api/v5/finance/staking-defi/eth/balance"),
        "sol_staking": Endpoint("GET", "/api/v5/finance/staking-defi/sol/balance"),
        "stable_rewards": Endpoint("GET", "/api/v5/finance/stable-rewards/balance"),
        "account_positions": Endpoint("GET", "/api/v5/account/positions"),
        "flexible_loans": Endpoint("GET", "/api/v5/finance/flexible-loan/loan-info"),
        "sub_accounts": Endpoint(
            "GET", "/api/v5/users/subaccount/list", frozenset({"subAcct", "after", "limit"})
        ),
        "sub_account_balance": Endpoint("GET", "/api/v5/account/subaccount/balances", frozenset({"subAcct"})),
        "sub_account_funding": Endpoint("GET", "/api/v5/asset/subaccount/balances", frozenset({"subAcct"})),
    },
    price_reads=(
        PublicRead("tickers", "/api/v5/market/tickers?instType=SPOT"),
        PublicRead("index_tickers", "/api/v5/market/index-tickers?quoteCcy=USD"),
    ),
    verify_reads=frozenset({"account_config"}),
    sync_reads=frozenset(
        {
            *("account_config", "account_balance", "asset_balances", "asset_valuation", "account_positions"),
            *("savings_balance", "staking_orders", "dual_orders", "eth_staking", "sol_staking"),
            *("stable_rewards", "flexible_loans"),
            *("sub_accounts", "sub_account_balance", "sub_account_funding"),
        }
    ),
    row_fields=(
        *("eq", "cashBal", "availEq", "availBal", "frozenBal", "liab", "interest"),
        *("eqUsd", "bal"),
        *("amt", "notionalSz", "state"),
    ),
    # OKX documents limits per address for public reads only; it counts signed reads per user.
    budgets=(
        Budget("address", 0, 2.0, counts_all=True),
        Budget("public_time", 10, 2.0),
        Budget("tickers", 20, 2.0),
        Budget("index_tickers", 20, 2.0),
        Budget("system_status", 1, 5.0),
    ),
    costs={read: {read: 1} for read in ("public_time", "tickers", "index_tickers", "system_status")},
    status_read=PublicRead("system_status", "/api/v5/system/status"),
    # Unavailable, busy, and a system error; the other codes of its table name an endpoint or a feature.
    closing_codes=frozenset({"50001", "50013", "50026"}),
    # Separate from `regions`, because programs offer those as choices.
    unserved_regions=(
        UnservedRegion("tr", "OKX Türkiye (tr.okx.com)", "It has a host and accounts of its own."),
        UnservedRegion("demo", "OKX demo trading", "Its balances are not real."),
    ),
)
