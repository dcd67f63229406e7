"""A further exchange is files in five rooms: a toy that is unlike OKX is connected, synced and deleted."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.deploy.earlier import copy_of_today, stopped
from tests.deploy.lives import calling, rows
from tests.system.person import Person
from tests.waiting import until

TOY = Path(__file__).parents[1] / "toy"
# The fifth room is the tests', where the files lie.
ROOMS = {
    "entry.py": "contracts/contracts/exchanges/toy.py",
    "scheme.py": "services/vault-broker/vault_broker/schemes/toy.py",
    "connector.py": "services/sync-worker/sync_worker/exchanges/toy/__init__.py",
    "simulator.py": "deploy/simulator/toy/__init__.py",
}
ACCOUNTS = """
[[accounts]]
name = "reader"
key_id = "toy-reader"
pin = "24680"
rights = ["look"]
spot = {{ ONE = "1", TWO = "2.5", THREE = "0.000000000000000003", FOUR = "0", FIVE = "5" }}
savings = {{ ONE = "10" }}
public_key = '''{public}'''

[[accounts]]
name = "spender"
key_id = "toy-spender"
pin = "24680"
rights = ["look", "spend"]
spot = {{}}
savings = {{}}
public_key = '''{public}'''
"""
GUIDE = Path(__file__).parents[2] / "docs" / "adding-an-exchange.md"
KEY = generate_private_key(SECP256R1())
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def add_toy(tree: Path) -> None:
    """Put the files of the toy exchange into the rooms of a source tree, each of which is new there."""
    for file, room in ROOMS.items():
        (tree / room).parent.mkdir(exist_ok=True)
        assert not (tree / room).exists()
        shutil.copy(TOY / file, tree / room)
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (tree / "deploy/simulator/toy/accounts.toml").write_text(ACCOUNTS.format(public=public))


def submission(**changed: str) -> dict[str, Any]:
    """Return what a user submits, some fields of the key changed."""
    fields = {"key_id": "toy-reader", "private_key": PRIVATE.replace("\n", "\\n"), "pin": "24680"}
    return {"exchange": "toy", "region": "world", "name": "Toys", "credentials": fields | changed}


async def refused_by(person: Person, status: int, **changed: str) -> dict[str, Any]:
    """Submit a key that is refused, and return the problem."""
    problem: dict[str, Any] = await person.post("/accounts", submission(**changed), status)
    return problem


async def check_refusals(person: Person) -> None:
    """Have keys refused by their fields, by the exchange, and by their rights."""
    wrong = await refused_by(person, 400, private_key="toy", pin="1")
    assert [each["field"] for each in wrong["errors"]] == ["credentials.private_key", "credentials.pin"]
    assert "P-256" in wrong["detail"]
    assert (await refused_by(person, 400, passphrase="okx"))["code"] == "invalid_input"
    other = generate_private_key(SECP256R1())
    foreign = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert (await refused_by(person, 422, private_key=foreign))["code"] == "signature_rejected"
    assert (await refused_by(person, 422, pin="13579"))["code"] == "passphrase_wrong"
    spender = await refused_by(person, 422, key_id="toy-spender")
    assert (spender["code"], spender["rights"]) == ("over_privileged_key", ["spend"])


async def only_okx_is_kept(directory: Path) -> bool:
    """Return whether the vault was told to destroy every key of the toy exchange, and has confirmed it."""
    kept = await rows(directory, "select exchange from credentials")
    destroyed = await rows(directory, "select 1 from audit where action = 'secret_destroyed'")
    return (kept, len(destroyed)) == ([("okx",)], 4)


def test_the_guide_names_the_rooms() -> None:
    """What the guide tells to add is what the toy exchange adds, and the tests."""
    told = re.findall(r"^\| `([^`]+)` \|", GUIDE.read_text(), re.MULTILINE)

    assert [room.replace("<name>", "toy") for room in told] == [*ROOMS.values(), "tests/"]


@pytest.fixture(name="tree_directory")
def _tree_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("toy")


async def test_an_exchange_is_added_by_files_in_five_rooms(tree_directory: Path) -> None:
    """Another scheme, a POST read, three fields with a PEM, pages, two hosts, other wallets need no more."""
    tree = copy_of_today(tree_directory)
    add_toy(tree.path)

    with tree.up(tree_directory / "data") as running:
        async with calling(running.api) as person:
            toy = next(each for each in await person.get("/exchanges") if each["key"] == "toy")
            assert [field["form"] for field in toy["credential_fields"]] == ["text", "pem", "text"]
            await check_refusals(person)
            account = await person.post("/accounts", submission(), 201)
            sync = await person.post(f"/accounts/{account['id']}/sync")
            balances = await person.get(f"/accounts/{account['id']}/balances")
            okx = await person.connect("plain")
            both = await person.post("/accounts/sync-all")
            deleted = await person.client.delete(f"/accounts/{account['id']}")
            assert deleted.status_code == 204
            assert [each["id"] for each in await person.get("/accounts")] == [okx["id"]]
            await until(lambda: only_okx_is_kept(tree_directory / "data"))
        stopped(running)

    assert (sync["status"], account["api_key_hint"]) == ("completed", "")
    assert {wallet["wallet"]: totals(wallet) for wallet in balances["wallets"]} == {
        "spot": {"ONE": "1", "TWO": "2.5", "THREE": "0.000000000000000003", "FOUR": "0", "FIVE": "5"},
        "savings": {"ONE": "10"},
        "card": None,
    }
    assert {each["status"] for each in both["results"]} == {"completed"}


def totals(wallet: dict[str, Any]) -> dict[str, str] | None:
    """Return the total of each asset of a wallet, None where it was not read."""
    return wallet["balances"] and {row["asset"]: row["total"] for row in wallet["balances"]}
