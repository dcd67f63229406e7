"""The simulator answers with the documented fields, and its wallets, lists and totals agree."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

SPOT = ("free", "locked", "freeze", "withdrawing", "ipoable")
BALANCE, ASSETS = "/sapi/v1/asset/wallet/balance", "/sapi/v3/asset/getUserAsset"
# By the file with the documented example: method and path.
EXAMPLES = {
    "api_v3_account.0": "GET /api/v3/account",
    "api_v3_ticker_price.1": "GET /api/v3/ticker/price",
    "dapi_v1_balance.0": "GET /dapi/v1/balance",
    "fapi_v2_balance.0": "GET /fapi/v2/balance",
    "fapi_v3_account.0": "GET /fapi/v3/account",
    "fapi_v3_balance.0": "GET /fapi/v3/balance",
    "papi_v1_account.0": "GET /papi/v1/account",
    "sapi_account_apiRestrictions.0": "GET /sapi/v1/account/apiRestrictions",
    "sapi_account_status.0": "GET /sapi/v1/account/status",
    "sapi_asset_get-funding-asset.0": "POST /sapi/v1/asset/get-funding-asset",
    "sapi_asset_wallet_balance.0": f"GET {BALANCE}",
    "sapi_margin_account.0": "GET /sapi/v1/margin/account",
    "sapi_margin_isolated_account.0": "GET /sapi/v1/margin/isolated/account",
    "sapi_simple-earn_account.0": "GET /sapi/v1/simple-earn/account",
    "sapi_simple-earn_flexible_position.0": "GET /sapi/v1/simple-earn/flexible/position",
    "sapi_simple-earn_locked_position.0": "GET /sapi/v1/simple-earn/locked/position",
    "sapi_system_status.0": "GET /sapi/v1/system/status",
    "sapi_v3_asset_getUserAsset.0": f"POST {ASSETS}",
}
OTHER_HOSTS = ("fapi", "dapi", "papi")


def shape(node: Any) -> Any:
    """Return the fields of a document with the kinds of their values; a list counts by its first row."""
    if isinstance(node, dict):
        return {key: {} if "AnnualPercentageRate" in key else shape(value) for key, value in node.items()}
    return [shape(row) for row in node[:1]] if isinstance(node, list) else type(node)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_answer_has_the_documented_fields(client: Any, facts: Path, example: str) -> None:
    """Names and kinds of values agree with the exchange's examples, in depth."""
    method, path = EXAMPLES[example].split()
    first = path.split("/")[1]
    host = first if first in OTHER_HOSTS else ""
    account = "portfolio-margin" if host == "papi" else "trader"
    documented = json.loads((facts / "doc-examples" / "binance" / f"{example}.json").read_text())

    answered = client.read(path, account, host=host, method=method)

    assert shape(answered) == shape(documented)


def test_spot_is_listed_twice(client: Any) -> None:
    """One list has free and locked amounts of every asset; the other has all parts, of positive ones only."""
    every = {row["asset"]: row for row in client.read("/api/v3/account")["balances"]}
    some = {
        row["asset"]: row for row in client.read("/api/v3/account", query="omitZeroBalances=true")["balances"]
    }
    own = {row["asset"]: row for row in client.read(ASSETS, method="POST", query="needBtcValuation=true")}

    assert every.keys() > own.keys() == some.keys() == {"BTC", "ETH", "LDO", "USDT", "LDUSDT"}
    assert own["ETH"] == {
        **dict.fromkeys(SPOT, "0"),
        "asset": "ETH",
        "free": "1.50000000",
        "freeze": "0.25000000",
        "withdrawing": "0.10000000",
        "btcValuation": "0.09250000",
    }
    assert every["XRP"] == {"asset": "XRP", "free": "0.00000000", "locked": "0.00000000"}
    assert client.read(ASSETS, method="POST", query="asset=LDO")[0]["asset"] == "LDO"


def test_flexible_positions_stand_in_spot_only_where_the_account_shows_them(client: Any) -> None:
    """LDUSDT is the position of one account; the other's list has no such row."""
    plain, trader = (client.read(ASSETS, account, method="POST") for account in ("plain", "trader"))

    assert [row["free"] for row in plain if row["asset"] == "LDUSDT"] == ["500.00000000"]
    assert not [row for row in trader if row["asset"].startswith("LD")]


@pytest.mark.parametrize("account", ["plain", "trader", "portfolio-margin"])
def test_a_wallet_is_worth_its_assets(client: Any, account: str) -> None:
    """The rows of each wallet sum to its balance, in the unit that was asked for; details come when asked."""
    detailed = client.read(BALANCE, account, "needBalanceDetail=true")
    in_usdt = {row["walletName"]: row for row in client.read(BALANCE, account, "quoteAsset=USDT")}

    for row in detailed:
        worth = sum((Decimal(each["btcValuation"]) for each in row["assetBalances"]), Decimal(0))
        assert abs(worth - Decimal(row["balance"])) < Decimal("0.0000001"), row["walletName"]
        assert "assetBalances" not in in_usdt[row["walletName"]]
    assert all(row["activate"] for row in detailed) == (account == "trader")


def test_wallets_without_an_endpoint_stand_in_the_total(client: Any) -> None:
    """Trading bots, copy trading and an unknown wallet have the worth that the file says."""
    rows = {row["walletName"]: row["balance"] for row in client.read(BALANCE, "bots")}

    assert rows["Trading Bots"] == "0.01000000"
    assert rows["Moon Wallet"] == "0.00300000"


def test_pages_of_positions_are_bounded(client: Any) -> None:
    """130 positions come in two pages of 100, with their number; a page has ten rows by default."""
    path = "/sapi/v1/simple-earn/flexible/position"
    first, second, usual = (
        client.read(path, "rich", query) for query in ("current=1&size=100", "current=2&size=100", "")
    )

    assert (len(first["rows"]), len(second["rows"]), len(usual["rows"]), usual["total"]) == (100, 30, 10, 130)
    assert len({row["asset"] for row in first["rows"] + second["rows"]}) == 130
    assert client.code(path, "rich", "size=101") == (400, -1102)


@pytest.mark.parametrize(
    ("host", "path", "right"),
    [
        ("fapi", "/fapi/v3/account", "enableFutures"),
        ("dapi", "/dapi/v1/account", "enableFutures"),
        ("eapi", "/eapi/v1/marginAccount", "enableVanillaOptions"),
    ],
)
def test_futures_and_options_need_their_right(client: Any, host: str, path: str, right: str) -> None:
    """A key that may only read is refused although its account has the product."""
    assert client.ask(path, "trader", host=host).status == 200
    assert client.code(path, "derivatives", host=host) == (401, -2015)
    assert client.read("/sapi/v1/account/apiRestrictions", "trader")[right] is True
    assert client.ask(path, "trader").status == 404


def test_products_are_told(client: Any) -> None:
    """The flags say which wallets an account has; portfolio margin has a host of its own."""
    info = client.read("/sapi/v1/account/info", "portfolio-margin")
    rows = client.read("/papi/v1/balance", "portfolio-margin", host="papi")

    assert info["isPortfolioMarginRetailEnabled"] is True
    assert info["isOptionsEnabled"] is False
    assert [row["totalWalletBalance"] for row in rows] == ["500.00000000", "-0.10000000"]
    assert client.code("/sapi/v1/margin/account", "staked") == (401, -2015)


def test_margin_is_net_of_debt(client: Any) -> None:
    """The debt, with interest, is subtracted from the free and locked amounts."""
    rows = {row["asset"]: row for row in client.read("/sapi/v1/margin/account")["userAssets"]}

    assert rows["BNB"]["netAsset"] == "1.9999"


def test_staked_coins_are_rows_of_spot(client: Any) -> None:
    """The staking endpoints tell of rows of spot, and soft staking of coins that stay there."""
    eth = client.read("/sapi/v2/eth-staking/account", "staked")["holdings"]
    spot = {row["asset"]: row["free"] for row in client.read(ASSETS, "staked", method="POST")}
    soft = client.read("/sapi/v1/soft-staking/list", "staked")["rows"]

    assert (Decimal(spot["WBETH"]), Decimal(spot["BETH"])) == (
        Decimal(eth["wbethAmount"]),
        Decimal(eth["bethAmount"]),
    )
    assert [(row["asset"], row["stakedAmount"]) for row in soft] == [("SOL", spot["SOL"])]


def test_pairs_have_prices_books_and_states(client: Any) -> None:
    """One that does not trade has no offers; one symbol is cheaper than all; an unknown one is refused."""
    every = client.raw("/api/v3/ticker/price")
    one = client.raw("/api/v3/ticker/price?symbol=BTCUSDT")
    some = client.raw("/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22,%22ETHBTC%22%5D").body
    book = {row["symbol"]: row for row in client.raw("/api/v3/ticker/bookTicker").body}
    rules = {row["symbol"]: row for row in client.raw("/api/v3/exchangeInfo").body["symbols"]}

    assert one.body in every.body
    assert (every.headers["X-MBX-USED-WEIGHT-1M"], one.headers["X-MBX-USED-WEIGHT-1M"]) == ("4", "6")
    assert [row["symbol"] for row in some] == ["BTCUSDT", "ETHBTC"]
    assert (book["THINUSDT"]["bidPrice"], rules["THINUSDT"]["status"]) == ("0.00000000", "TRADING")
    assert rules["OLDTUSDT"]["status"] == "BREAK"
    assert client.raw("/api/v3/ticker/price?symbol=NONE").body == {"code": -1121, "msg": "Invalid symbol."}
    assert client.raw("/api/v3/ticker/price?symbols=BTC").body["code"] == -1100
