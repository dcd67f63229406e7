"""The requests and the exchange that the tests of the simulated Binance share."""

import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from deploy.local.demo import ACCOUNTS
from deploy.simulator.binance import simulate
from deploy.simulator.binance.accounts import Account, load_accounts
from deploy.simulator.binance.exchange import Binance
from deploy.simulator.types import Answer, Request

FILE = ACCOUNTS.parents[1] / "binance" / "accounts.toml"
NOW = datetime(2026, 6, 27, 12, 0, 0, 123000, UTC)
NOW_MS = 1782561600123


def sign(account: Account, payload: str) -> str:
    """Sign a payload as a client with the account's key does, ready for a query."""
    if account.api_secret:
        return hmac.digest(account.api_secret.encode(), payload.encode(), "sha256").hex()
    return quote(signed_by(account.private_key, payload), safe="")


def signed_by(pem: str, payload: str) -> str:
    """Sign a payload with a private key, in Base64."""
    key = load_pem_private_key(pem.encode(), None)
    if isinstance(key, RSAPrivateKey):
        return b64encode(key.sign(payload.encode(), PKCS1v15(), SHA256())).decode()
    assert isinstance(key, Ed25519PrivateKey)
    return b64encode(key.sign(payload.encode())).decode()


@dataclass(frozen=True)
class Client:
    """Asks one simulated exchange, by default at NOW and with a correct signature."""

    exchange: Binance
    accounts: Any

    def ask(self, path: str, account: str = "plain", query: str = "", **parts: Any) -> Answer:
        """Sign a query and ask; other parts of the request can be replaced."""
        owner = self.accounts[account]
        payload = "&".join(filter(None, (query, f"timestamp={NOW_MS}")))
        signed = f"{payload}&signature={sign(owner, payload)}"
        return self.raw(f"{path}?{signed}", owner.api_key, **parts)

    def raw(self, target: str, api_key: str = "", **parts: Any) -> Answer:
        """Ask for a target exactly as it is."""
        usual: dict[str, Any] = {"method": "GET", "headers": {}, "body": b"", "address": "127.0.0.1"}
        usual |= {"received_at": NOW} | parts
        usual["headers"] = ({"x-mbx-apikey": api_key} if api_key else {}) | usual["headers"]
        return self.exchange.answer(Request(region="global", target=target, **usual))

    def read(self, path: str, account: str = "plain", query: str = "", **parts: Any) -> Any:
        """Send a request that the exchange answers, and return the body."""
        answer = self.ask(path, account, query, **parts)
        assert answer.status == 200, answer.body
        return answer.body

    def code(self, *asked: Any, **parts: Any) -> tuple[int, int]:
        """Send a request that the exchange refuses, and return the HTTP status and the code."""
        answer = self.ask(*asked, **parts)
        return answer.status, answer.body["code"]


@pytest.fixture
def client() -> Client:
    """Return a client of an exchange with fresh counters."""
    return Client(simulate(FILE, strict=False), load_accounts(FILE))


@pytest.fixture
def strict() -> Callable[[], Client]:
    """Return a maker of clients of an exchange that allows no bursts."""
    return lambda: Client(simulate(FILE, strict=True), load_accounts(FILE))
