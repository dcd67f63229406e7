"""The rows have every documented key, and the wallets agree with the valuation."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.simulator.limits import Limiter
from deploy.simulator.okx.accounts import Accounts, load_accounts
from deploy.simulator.okx.exchange import Okx
from deploy.simulator.types import Request

Ask = Callable[..., Any]
READS = ("/api/v5/account/balance", "/api/v5/asset/balances", "/api/v5/account/config")
VALUATION = "/api/v5/asset/asset-valuation"


@pytest.fixture(name="ask")
def _ask(accounts: Accounts, signed: Callable[..., Request]) -> Ask:
    """Call a separate exchange, so that limits play no part."""

    def ask(account: str, target: str) -> Any:
        answer = Okx(accounts, Limiter(strict=False)).answer(signed(target, account))
        assert answer.status == 200
        return answer.body["data"]

    return ask


def shape(value: Any) -> Any:
    """Reduce a payload to its keys and JSON types; lists to the shape of their elements."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


@pytest.mark.parametrize("target", [*READS, VALUATION, "/api/v5/public/time"])
@pytest.mark.parametrize("account", ["plain", "rich", "margin"])
def test_rows_have_the_keys_and_types_of_the_documented_example(
    ask: Ask, facts: Path, account: str, target: str
) -> None:
    """Amounts and times are strings, truth values are booleans, and no documented key is missing."""
    name = target.removeprefix("/api/v5/").replace("/", "_")
    documented = json.loads((facts / "doc-examples" / "okx" / f"{name}.0.json").read_text())

    assert shape(documented["data"]) == shape(ask(account, target))


def test_plain_holds_five_assets_and_one_of_them_twice(ask: Ask) -> None:
    """The account of the demo has five assets over two wallets."""
    trading = {row["ccy"] for row in ask("plain", READS[0])[0]["details"]}
    funding = {row["ccy"] for row in ask("plain", READS[1])}

    assert len(trading | funding) == 5
    assert trading & funding
    assert any(len(row["bal"].partition(".")[2]) == 18 for row in ask("plain", READS[1]))


def test_rich_holds_two_hundred_assets(ask: Ask) -> None:
    """They are spread over both wallets, and every tenth is in both."""
    trading = {row["ccy"] for row in ask("rich", READS[0])[0]["details"]}
    funding = {row["ccy"] for row in ask("rich", READS[1])}

    assert len(trading | funding) == 200
    assert len(trading & funding) == 20


def test_margin_owes_what_its_negative_equity_says(ask: Ask) -> None:
    """A liability is a positive number beside a negative equity."""
    rows = {row["ccy"]: row for row in ask("margin", READS[0])[0]["details"]}

    assert (rows["USDT"]["eq"], rows["USDT"]["liab"]) == ("-5000.123456789", "5000.123456789")


@pytest.mark.parametrize("account", ["plain", "rich", "margin", "eea", "empty"])
def test_the_valuation_is_the_sum_of_the_wallets(ask: Ask, accounts: Accounts, account: str) -> None:
    """The exchange's own total agrees with its rows at its prices, to the last digit in USD."""
    trading = ask(account, READS[0])[0]
    worth = sum((Decimal(row["eqUsd"]) for row in trading["details"]), Decimal(0))
    in_funding = (Decimal(row["bal"]) * accounts.prices[row["ccy"]] for row in ask(account, READS[1]))
    [valuation] = ask(account, VALUATION + "?ccy=USD")
    parts = {wallet: Decimal(value) for wallet, value in valuation["details"].items()}

    assert worth == parts["trading"] == Decimal(trading["totalEq"])
    assert sum(in_funding, Decimal(0)).quantize(Decimal("1E-18")) == parts["funding"]
    assert sum(parts.values()) == Decimal(valuation["totalBal"])


def test_a_valuation_is_in_bitcoin_if_no_unit_is_named(ask: Ask) -> None:
    """Without `ccy` the response is the one for BTC."""
    assert ask("plain", VALUATION) == ask("plain", VALUATION + "?ccy=BTC")
    assert ask("plain", VALUATION) != ask("plain", VALUATION + "?ccy=USD")


def test_only_the_currencies_asked_for_are_listed(ask: Ask) -> None:
    """The totals of the account stay those of all currencies."""
    [everything] = ask("plain", READS[0])
    [some] = ask("plain", READS[0] + "?ccy=BTC,XRP")

    assert [row["ccy"] for row in some["details"]] == ["BTC"]
    assert everything["totalEq"] == some["totalEq"]
    assert [row["ccy"] for row in ask("plain", READS[1] + "?ccy=USDT")] == ["USDT"]


def test_an_empty_account_lists_nothing_and_is_worth_nothing(ask: Ask) -> None:
    """Its trading wallet is one account object without details, its funding wallet an empty list."""
    [trading] = ask("empty", READS[0])
    [valuation] = ask("empty", VALUATION + "?ccy=USD")

    assert (trading["details"], trading["totalEq"]) == ([], "0")
    assert ask("empty", READS[1]) == []
    assert valuation["totalBal"] == "0"


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        ("plain", {"perm": "read_only", "ip": "", "type": "0", "label": "plain", "acctLv": "1"}),
        ("margin", {"perm": "read_only", "acctLv": "3"}),
        ("trade-enabled", {"perm": "read_only,trade"}),
        ("withdraw-enabled", {"perm": "read_only,withdraw"}),
        ("sub-account", {"type": "1", "mainUid": "446580012345678901", "uid": "446580012345678908"}),
    ],
)
def test_the_configuration_says_what_a_key_is(ask: Ask, account: str, expected: dict[str, str]) -> None:
    """Permissions, bound addresses and master account are those of the file."""
    [config] = ask(account, READS[2])

    assert expected == {key: config[key] for key in expected}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('eq = "0.049"', 'equity = "0.049"'), "unknown fields: equity"),
        (('ip = ["192.0.2.10"]', 'ip = ["somewhere"]'), "somewhere"),
        (('SOL = "150"\n', ""), "no price for SOL"),
        (('region = "eea"', 'region = "moon"'), "moon"),
    ],
)
def test_a_mistake_in_the_file_of_accounts_is_told(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    """A wrong field, address, region or a missing price stops the start, and the error names it."""
    source = Path(__file__).parents[4] / "deploy" / "simulator" / "okx" / "accounts.toml"
    (tmp_path / "accounts.toml").write_text(source.read_text().replace(*change, 1))

    with pytest.raises(msgspec.ValidationError, match=complaint):
        load_accounts(tmp_path / "accounts.toml")


def test_zero_rows_are_left_out(tmp_path: Path, signed: Callable[..., Request]) -> None:
    """A trading row is omitted when cash and equity are zero, a funding row at zero balance; debt stays."""
    source = (Path(__file__).parents[4] / "deploy" / "simulator" / "okx" / "accounts.toml").read_text()
    changed = source.replace('eq = "0.049", cashBal = "0.049"', 'eq = "0", cashBal = "0"')
    changed = changed.replace('eq = "12.5"', 'eq = "-1"').replace('bal = "250.75"', 'bal = "0.00"')
    (tmp_path / "accounts.toml").write_text(changed)
    exchange = Okx(load_accounts(tmp_path / "accounts.toml"), Limiter(strict=False))

    trading, funding = (exchange.answer(signed(target)).body["data"] for target in READS[:2])

    assert [row["ccy"] for row in trading[0]["details"]] == ["SOL", "USDT"]
    assert [row["ccy"] for row in funding] == ["ETH", "PEPE"]
