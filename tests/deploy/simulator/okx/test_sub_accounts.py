"""The key of a master lists its sub-accounts and reads their balances by name; no other key does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.simulator.limits import Limiter
from deploy.simulator.okx.accounts import Accounts
from deploy.simulator.okx.exchange import Okx
from deploy.simulator.types import Request
from tests.deploy.simulator.okx.test_clients import run
from tests.deploy.simulator.okx.test_payloads import shape

LIST = "/api/v5/users/subaccount/list"
BALANCE, FUNDING = "/api/v5/account/subaccount/balances", "/api/v5/asset/subaccount/balances"
Ask = Callable[..., Any]
PYTHON_OKX = """
import json, sys
from okx.SubAccount import SubAccountAPI
key, secret, passphrase, address = json.load(sys.stdin)
api = SubAccountAPI(key, secret, passphrase, flag="0", domain=address)
answers = [
    api.get_subaccount_list(),
    api.get_account_balance("savings1"),
    api.get_funding_balance("savings1"),
    api.get_account_balance("nobody"),
]
json.dump(answers, sys.stdout)
"""


@pytest.fixture(name="ask")
def _ask(accounts: Accounts, signed: Callable[..., Request]) -> Ask:
    """Call a separate exchange, so that limits play no part; returns the body."""
    return lambda target, account="master": (
        Okx(accounts, Limiter(strict=False)).answer(signed(target, account)).body
    )


@pytest.mark.parametrize("target", [LIST, f"{BALANCE}?subAcct=savings1", f"{FUNDING}?subAcct=savings1"])
def test_rows_have_the_keys_and_types_of_the_documented_example(ask: Ask, facts: Path, target: str) -> None:
    """No documented key is missing."""
    name = target.partition("?")[0].removeprefix("/api/v5/").replace("/", "_")
    documented = json.loads((facts / "doc-examples" / "okx" / f"{name}.0.json").read_text())["data"]

    (row, *_) = ask(target)["data"]

    assert shape(documented[0]).keys() <= shape(row).keys()


def test_the_list_is_read_by_name_and_page(ask: Ask) -> None:
    """The newest first, and those from before a time."""
    rows = ask(LIST)["data"]

    assert [row["subAcct"] for row in rows] == ["trading2", "savings1"]
    assert ask(f"{LIST}?limit=1")["data"] == rows[:1]
    assert ask(f"{LIST}?limit=1&after={rows[0]['ts']}")["data"] == rows[1:]
    assert ask(f"{LIST}?subAcct=savings1")["data"] == rows[1:]
    assert ask(LIST, "rich")["data"] == []


@pytest.mark.parametrize("target", [LIST, f"{BALANCE}?subAcct=savings1", f"{FUNDING}?subAcct=savings1"])
def test_the_key_of_a_sub_account_is_refused(ask: Ask, target: str) -> None:
    """Only that of the master has permission."""
    assert ask(target, "savings1")["code"] == "59500"


@pytest.mark.parametrize("path", [BALANCE, FUNDING])
def test_the_sub_account_of_another_master_does_not_exist(ask: Ask, path: str) -> None:
    """Nor does one without a name."""
    assert ask(f"{path}?subAcct=sub-account")["code"] == "59510"
    assert ask(path)["code"] == "50014"


def test_foreign_clients_read_sub_accounts(simulator: Any, accounts: Accounts) -> None:
    """The exchange's own client gets uid, name and balances."""
    account = accounts["master"]
    given = [account.api_key, account.api_secret, account.passphrase, simulator.regions["global"]]

    listed, trading, funding, refused = run(PYTHON_OKX, given, SSL_CERT_FILE=simulator.address["ca"])

    assert {row["subAcct"]: row["uid"] for row in listed["data"]} == {
        name: accounts[name].uid for name in ("savings1", "trading2")
    }
    assert [row["eq"] for row in trading["data"][0]["details"]] == ["2.000000000000000001"]
    assert [row["bal"] for row in funding["data"]] == ["10"]
    assert refused["code"] == "59510"
