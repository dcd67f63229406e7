"""Binance. Source: https://developers.binance.com/docs and https://github.com/binance/binance-spot-api-docs."""

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

MINUTE = 60.0
PAGED = frozenset({"current", "size"})
API_KEY = CredentialField(
    "api_key", "API key", secret=False, longest=128, help="Binance lists it under API Management."
)
_READING = (
    "Leave only Enable Reading ticked, and untick every other right.",
    (
        "Under IP access restrictions, choose to restrict access to trusted IPs only, and enter each of our "
        "egress addresses if any are listed."
    ),
)
BORN_STEPS = (
    "Sign in at www.binance.com, and open API Management in the menu of your profile.",
    "Choose Create API, then Self-generated.",
    "Give the key a name, and paste the public key of the offer with its first and its last line.",
    "Confirm with your second factor.",
    *_READING,
    "Copy the API key that Binance shows, and send it with the offer before the offer expires.",
)
HMAC_STEPS = (
    "Sign in at www.binance.com, and open API Management in the menu of your profile.",
    "Choose Create API, then System generated.",
    "Give the key a name, and confirm with your second factor.",
    *_READING,
    "Copy the API key and the secret key, which Binance shows once.",
)
# Binance counts each endpoint under /sapi for itself: 12,000 of weight a minute and address.
SAPI_WEIGHTS = {
    "api_restrictions": 1,
    "account_info": 1,
    "user_assets": 5,
    "funding_assets": 1,
    "wallet_balance": 60,
    "flexible_positions": 150,
    "locked_positions": 150,
    "onchain_positions": 50,
    "dual_positions": 1,
    "margin_account": 10,
    "isolated_account": 10,
    "system_status": 1,
}
# The endpoints under /api share one budget.
API_WEIGHTS = {
    "server_time": 1,
    "account": 20,
    "btc_price": 2,
    "ticker_price": 4,
    "book_ticker": 4,
    "exchange_info": 20,
}
# The hosts of futures, portfolio margin and options have budgets of their own; Binance documents no size.
OTHER_WEIGHTS = {
    "usdm_account": ("fapi", 5),
    "usdm_positions": ("fapi", 5),
    "coinm_account": ("dapi", 5),
    "coinm_positions": ("dapi", 1),
    "portfolio_balance": ("papi", 20),
    "options_account": ("eapi", 3),
}

BINANCE = Exchange(
    key="binance",
    name="Binance",
    regions=(
        Region(
            "global",
            "Global (www.binance.com)",
            "https://api.binance.com",
            {
                "fapi": "https://fapi.binance.com",
                "dapi": "https://dapi.binance.com",
                "papi": "https://papi.binance.com",
                "eapi": "https://eapi.binance.com",
            },
        ),
    ),
    credential_kinds=(
        CredentialKind(
            "born", "Ed25519 key that is born in our vault", (API_KEY,), born=True, steps=BORN_STEPS
        ),
        CredentialKind(
            "hmac",
            "HMAC key with a secret",
            (
                API_KEY,
                CredentialField(
                    "api_secret",
                    "Secret key",
                    secret=True,
                    shortest=MIN_KEY_BYTES,
                    signs=True,
                    help="Binance shows it once, when you make the key.",
                ),
            ),
            steps=HMAC_STEPS,
        ),
    ),
    wallets=(
        Wallet("spot", "Spot"),
        Wallet("funding", "Funding"),
        Wallet("earn", "Earn"),
        Wallet("margin", "Cross margin"),
        Wallet("isolated_margin", "Isolated margin"),
        Wallet("usdm_futures", "USD-M futures"),
        Wallet("coinm_futures", "COIN-M futures"),
        Wallet("options", "Options"),
        Wallet("portfolio_margin", "Portfolio margin"),
    ),
    read_only_permissions=frozenset({"enableReading", "enableFixReadOnly", "enablePortfolioMarginTrading"}),
    required_permissions=frozenset({"enableReading"}),
    further_permissions=frozenset(
        {
            *("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer"),
            *("enableSpotAndMarginTrading", "enableMargin", "enableFutures", "enableVanillaOptions"),
            "enableFixApiTrade",
        }
    ),
    warned_permissions={
        "enablePortfolioMarginTrading": (
            "Binance shows this right on keys that may only read, too. Switch it off at Binance if you can."
        )
    },
    position_wallets=("usdm_futures", "coinm_futures"),
    replacing_wallets={"portfolio_margin": ("margin", "usdm_futures", "coinm_futures")},
    valued_wallets=("earn", "margin", "isolated_margin", "options"),
    scheme="binance",
    signing_keys=frozenset({"timestamp", "recvWindow", "signature"}),
    reads={
        "api_restrictions": Endpoint("GET", "/sapi/v1/account/apiRestrictions"),
        "account_info": Endpoint("GET", "/sapi/v1/account/info"),
        "account": Endpoint("GET", "/api/v3/account", frozenset({"omitZeroBalances"})),
        "user_assets": Endpoint("POST", "/sapi/v3/asset/getUserAsset", frozenset({"needBtcValuation"})),
        "funding_assets": Endpoint(
            "POST", "/sapi/v1/asset/get-funding-asset", frozenset({"needBtcValuation"})
        ),
        "wallet_balance": Endpoint("GET", "/sapi/v1/asset/wallet/balance", frozenset({"needBalanceDetail"})),
        "flexible_positions": Endpoint("GET", "/sapi/v1/simple-earn/flexible/position", PAGED),
        "locked_positions": Endpoint("GET", "/sapi/v1/simple-earn/locked/position", PAGED),
        "onchain_positions": Endpoint("GET", "/sapi/v1/onchain-yields/locked/position", PAGED),
        "dual_positions": Endpoint(
            "GET", "/sapi/v1/dci/product/positions", frozenset({"status", "pageSize", "pageIndex"})
        ),
        "margin_account": Endpoint("GET", "/sapi/v1/margin/account"),
        "isolated_account": Endpoint("GET", "/sapi/v1/margin/isolated/account"),
        "usdm_account": Endpoint("GET", "/fapi/v3/account", host="fapi"),
        "usdm_positions": Endpoint("GET", "/fapi/v3/positionRisk", host="fapi"),
        "coinm_account": Endpoint("GET", "/dapi/v1/account", host="dapi"),
        "coinm_positions": Endpoint("GET", "/dapi/v1/positionRisk", host="dapi"),
        "portfolio_balance": Endpoint("GET", "/papi/v1/balance", host="papi"),
        "options_account": Endpoint("GET", "/eapi/v1/marginAccount", host="eapi"),
    },
    verify_reads=frozenset({"api_restrictions", "account"}),
    sync_reads=frozenset({*SAPI_WEIGHTS, *OTHER_WEIGHTS, "account"}) - {"system_status"},
    price_reads=(
        PublicRead("ticker_price", "/api/v3/ticker/price"),
        PublicRead("book_ticker", "/api/v3/ticker/bookTicker"),
        # Only symbols that are traded, without the sets of permissions, which are most of the answer.
        PublicRead("exchange_info", "/api/v3/exchangeInfo?showPermissionSets=false&symbolStatus=TRADING"),
    ),
    status_read=PublicRead("system_status", "/sapi/v1/system/status"),
    budgets=(
        Budget("address", 0, MINUTE, counts_all=True),
        Budget("api", 6000, MINUTE, bursts=True),
        *(Budget(read, 12000, MINUTE, bursts=True) for read in SAPI_WEIGHTS),
        *(Budget(host, 0, MINUTE) for host in ("fapi", "dapi", "papi", "eapi")),
    ),
    costs={
        **{read: {read: weight} for read, weight in SAPI_WEIGHTS.items()},
        **{read: {"api": weight} for read, weight in API_WEIGHTS.items()},
        **{read: {host: weight} for read, (host, weight) in OTHER_WEIGHTS.items()},
    },
    # Unavailable, busy, shutting down and internal errors of the whole exchange.
    closing_codes=frozenset({"-1001", "-1008", "-1016", "-3000"}),
    address_codes=frozenset({"-1003"}),
    joined_causes=True,  # -2015
    # Half of the window in which Binance takes a signature and a second for the way.
    signed_seconds=3.0,
    # Of each of 4 tries: 2 groups and 9 rounds of pages, one measurement of the clock, and 4 signed anew.
    most_batches=64,
    row_fields=(
        *("free", "locked", "freeze", "withdrawing", "ipoable"),
        *("netAsset", "borrowed", "interest"),
        *("marginBalance", "walletBalance", "unrealizedProfit", "availableBalance", "available"),
        *("crossMarginAsset", "crossMarginBorrowed", "crossMarginInterest", "crossMarginFree"),
        *("crossMarginLocked", "umWalletBalance", "umUnrealizedPNL", "cmWalletBalance", "cmUnrealizedPNL"),
        *("totalAmount", "amount", "subscriptionAmount"),
    ),
    unserved_regions=(
        UnservedRegion("us", "Binance.US (www.binance.us)", "It is an exchange of its own."),
        UnservedRegion("testnet", "Binance Spot Test Network", "Its balances are not real."),
        UnservedRegion("demo", "Binance demo trading", "Its balances are not real."),
    ),
)
