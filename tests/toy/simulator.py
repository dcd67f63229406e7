"""A simulated toy exchange: tokens, nonces and the PIN are checked, and lists come in pages of two."""

from base64 import urlsafe_b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from deploy.simulator.types import Answer, Request

WINDOW_MS = 30_000
PAGE = 2


class _Account(msgspec.Struct):
    name: str
    key_id: str
    public_key: str
    pin: str
    rights: list[str]
    spot: dict[str, str]
    savings: dict[str, str]


class _Accounts(msgspec.Struct):
    accounts: list[_Account]


class _Refused(Exception):
    pass


def simulate(accounts: Path, *, strict: bool) -> "Toy":
    """Make the exchange with the accounts of a file; it has no limits."""
    del strict
    return Toy(msgspec.toml.decode(accounts.read_bytes(), type=_Accounts).accounts)


class Toy:
    """Answers requests for its accounts."""

    key = "toy"
    regions = ("world",)
    hosts = ("", "savings")
    paths = ("/v1/time", "/v1/key", "/v1/spot", "/v1/savings")
    public = ("/v1/time",)
    refusals = {"unknown": (401,), "signature": (401,), "pin": (401,), "shape": (400,)}  # noqa: RUF012

    def __init__(self, accounts: list[_Account]) -> None:
        self._accounts = accounts
        self.accounts = [account.name for account in accounts]

    def answer(self, request: Request, shown: str | None = None) -> Answer:
        """Answer as the exchange does."""
        del shown
        try:
            return Answer(200, {"data": self._data(request)})
        except _Refused as refused:
            return self.refuse(request, str(refused), None)

    def refuse(self, request: Request, code: str, status: int | None) -> Answer:
        """Refuse with a code."""
        del request
        return Answer(status or self.refusals[code][0], {"error": code})

    def asker(self, request: Request) -> str | None:
        """Name no account: no faults are switched on here."""
        del request
        return None

    def without_bursts(self) -> Self:
        """Return itself."""
        return self

    def _data(self, request: Request) -> Any:
        place = (request.host, request.method, request.path)
        if place == ("", "GET", "/v1/time"):
            return str(_milliseconds(request))
        account = self._authenticated(request)
        if place == ("", "GET", "/v1/key"):
            return {"owner": account.name, "rights": account.rights}
        if place == ("", "GET", "/v1/spot"):
            return _page(account.spot, int(request.query.get("cursor", "0")))
        if place == ("savings", "POST", "/v1/savings"):
            body = msgspec.json.decode(request.body, type=dict[str, str])
            if [*body] != ["unit", "nonce"] or request.headers.get("content-type") != "application/json":
                raise _Refused("shape")
            return {"coins": account.savings}
        raise _Refused("shape")

    def _authenticated(self, request: Request) -> _Account:
        header, claims, signature = request.headers["authorization"].removeprefix("Bearer ").split(".")
        account = next((each for each in self._accounts if each.key_id == _read(header)["kid"]), None)
        if account is None:
            raise _Refused("unknown")
        told = _read(claims)
        body = sha256(request.body).hexdigest()
        if (told["uri"], told["body"]) != (f"{request.method} {request.target}", body):
            raise _Refused("signature")
        if abs(told["time"] - _milliseconds(request)) > WINDOW_MS or not _signed(
            account, f"{header}.{claims}".encode(), signature
        ):
            raise _Refused("signature")
        if request.headers.get("x-pin") != account.pin:
            raise _Refused("pin")
        return account


def _signed(account: _Account, message: bytes, signature: str) -> bool:
    raw = urlsafe_b64decode(signature + "==")
    key = load_pem_public_key(account.public_key.encode())
    assert isinstance(key, EllipticCurvePublicKey)
    halves = [int.from_bytes(half, "big") for half in (raw[:32], raw[32:])]
    try:
        key.verify(encode_dss_signature(*halves), message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _read(part: str) -> dict[str, Any]:
    return msgspec.json.decode(urlsafe_b64decode(part + "=="), type=dict[str, Any])


def _milliseconds(request: Request) -> int:
    return round(request.received_at.timestamp() * 1000)


def _page(coins: dict[str, str], start: int) -> dict[str, Any]:
    rows = list(coins.items())
    following = str(start + PAGE) if len(rows) > start + PAGE else ""
    return {"coins": dict(rows[start : start + PAGE]), "next": following}
