"""The simulator refuses keys, signatures, times, addresses and rights as the exchange does."""

from base64 import b64decode
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from deploy.simulator.binance.keys import public_of, verified
from tests.deploy.simulator.binance.conftest import FILE, NOW, NOW_MS, sign, signed_by

ACCOUNT, ASSETS = "/api/v3/account", "/sapi/v3/asset/getUserAsset"
RESTRICTIONS = "/sapi/v1/account/apiRestrictions"
SECONDS = f"timestamp={NOW_MS}"


@pytest.mark.parametrize("account", ["plain", "ed25519", "rsa"])
def test_every_kind_of_key_signs(client: Any, account: str) -> None:
    """HMAC, Ed25519 and RSA keys are accepted, and refused for another payload."""
    owner = client.accounts[account]
    other = sign(owner, "timestamp=1")

    assert client.ask(ACCOUNT, account).status == 200
    answer = client.raw(f"{ACCOUNT}?{SECONDS}&signature={other}", owner.api_key)
    assert (answer.status, answer.body["code"]) == (400, -1022)


def test_a_signature_is_recognised_wherever_and_however_it_stands(client: Any) -> None:
    """It may stand first, in upper-case hex, or in Base64 that is not percent-encoded; a form counts, too."""
    plain, ed25519 = client.accounts["plain"], client.accounts["ed25519"]
    query = f"omitZeroBalances=true&{SECONDS}"
    raw = signed_by(ed25519.private_key, SECONDS)

    assert (
        client.raw(f"{ACCOUNT}?signature={sign(plain, query).upper()}&{query}", plain.api_key).status == 200
    )
    assert client.raw(f"{ACCOUNT}?{SECONDS}&signature={raw}", ed25519.api_key).status == 200
    form = f"{SECONDS}&signature={sign(plain, 'recvWindow=6000' + SECONDS)}".encode()
    answer = client.raw(f"{ASSETS}?recvWindow=6000", plain.api_key, method="POST", body=form)
    assert answer.status == 200


def test_signed_bytes_are_percent_encoded(client: Any) -> None:
    """A payload with other characters is refused, although its signature is right."""
    plain = client.accounts["plain"]
    for asset, status in (("é", 400), ("%C3%A9", 200), ('"', 400)):
        payload = f"asset={asset}&{SECONDS}"
        target = f"{ASSETS}?{payload}&signature={sign(plain, payload)}"
        assert client.raw(target, plain.api_key, method="POST").status == status, asset


@pytest.mark.parametrize(
    ("query", "late", "text"),
    [
        ("", 5.0, None),
        ("", 5.001, "outside of the recvWindow"),
        ("recvWindow=60000", 60.0, None),
        ("recvWindow=0.5", 0.001, "outside of the recvWindow"),
        ("", -0.999, None),
        ("", -1.0, "1000ms ahead of the server's time"),
        ("recvWindow=60000.001", 0.0, "Cannot be greater than '60000'"),
        ("recvWindow=1.2345", 0.0, "'recvWindow' was not sent"),
    ],
)
def test_a_time_must_be_near(client: Any, query: str, late: float, text: str | None) -> None:
    """A request is accepted within its window, and less than a second ahead."""
    answer = client.ask(ACCOUNT, "plain", query, received_at=NOW + timedelta(seconds=late))

    assert (text or "balances") in (answer.body["msg"] if text else answer.body)
    assert answer.status == (400 if text else 200)


def test_times_may_be_in_microseconds(client: Any) -> None:
    """A timestamp with 16 digits is accepted, and a header asks for such answers."""
    plain, payload = client.accounts["plain"], f"timestamp={NOW_MS}000"
    asked = {"headers": {"x-mbx-time-unit": "MICROSECOND"}}

    answer = client.raw(f"{ACCOUNT}?{payload}&signature={sign(plain, payload)}", plain.api_key, **asked)

    assert answer.body["updateTime"] == NOW_MS * 1000
    assert client.raw("/api/v3/time", **asked).body == {"serverTime": NOW_MS * 1000}
    assert client.raw("/api/v3/time").body == {"serverTime": NOW_MS}


def test_a_missing_or_unknown_part_is_refused(client: Any) -> None:
    """A key needs its format, must be known, and signs with a time."""
    plain = client.accounts["plain"]
    refused = {
        "no key": client.raw(f"{ACCOUNT}?{SECONDS}&signature=ab"),
        "format": client.raw(f"{ACCOUNT}?{SECONDS}&signature=ab", "short"),
        "unknown": client.raw(f"{ACCOUNT}?{SECONDS}&signature=ab", "a" * 64),
        "no time": client.raw(f"{ACCOUNT}?signature=ab", plain.api_key),
        "no signature": client.raw(f"{ACCOUNT}?{SECONDS}", plain.api_key),
        "words": client.raw(f"{ACCOUNT}?timestamp=now&signature=ab", plain.api_key),
    }

    assert {why: (answer.status, answer.body["code"]) for why, answer in refused.items()} == {
        "no key": (401, -2014),
        "format": (401, -2014),
        "unknown": (401, -2015),
        "no time": (400, -1102),
        "no signature": (400, -1102),
        "words": (400, -1100),
    }


def test_address_and_rights_are_refused_alike(client: Any) -> None:
    """A wrong key, a foreign address and a missing right have one code."""
    assert client.code(ACCOUNT, "ip-bound") == (401, -2015)
    assert client.code(ACCOUNT, "ip-here", address="192.0.2.1") == (401, -2015)
    assert client.ask(ACCOUNT, "ip-here").status == 200
    assert client.code(ACCOUNT, "no-reading") == (401, -2015)
    assert client.read(RESTRICTIONS, "no-reading")["enableReading"] is False


def test_rights_are_told(client: Any) -> None:
    """The answer has every documented right, an unknown one, the bound address and the expiry."""
    plain, unknown, here = (
        client.read(RESTRICTIONS, account) for account in ("plain", "unknown-right", "ip-here")
    )

    assert [right for right, granted in plain.items() if granted is True] == ["enableReading"]
    assert unknown["enableTeleportation"] is True
    assert here["ipRestrict"] is True
    assert here["tradingAuthorityExpirationTime"] == 1924905600000


def test_a_user_uploads_a_public_key(client: Any) -> None:
    """The private key signs for the API key that the exchange gives; a second upload changes its rights."""
    born = Ed25519PrivateKey.generate()
    pem = born.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = born.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def rights(api_key: str) -> Any:
        signature = quote(signed_by(pem, SECONDS), safe="")
        return client.raw(f"{RESTRICTIONS}?{SECONDS}&signature={signature}", api_key).body

    too_many = client.exchange.upload("born", public, {"enableFutures": True}, NOW)
    assert rights(too_many)["enableFutures"] is True
    assert client.exchange.upload("born", public, {}, NOW) == too_many
    assert rights(too_many)["enableFutures"] is False
    with pytest.raises(ValueError, match="not a valid public key"):
        client.exchange.upload("born", pem, {}, NOW)


def test_the_fixed_ed25519_key_is_the_published_one(client: Any) -> None:
    """The signature of RFC 8032's key over a documented payload is accepted by the simulator's check."""
    public = public_of(client.accounts["ed25519"].private_key)
    signature = b"OB11jWnvl0LKE9m8afFW3EdDhoA7H2T/377O3HJs36fsEvohaeygEypL1iD3KQDAYDtNrDWJCX/98t42FhYmDQ=="

    assert b64decode(public.splitlines()[1])[-32:].hex().startswith("d75a980182b10ab7d54bfed3c964073a")
    assert verified(public, b"timestamp=1499827319559&recvWindow=5000", signature)
    assert not verified(public, b"timestamp=1499827319558&recvWindow=5000", signature)


def test_no_secret_is_printed(client: Any) -> None:
    """The representation of an account has no secret."""
    plain = client.accounts["plain"]

    assert plain.api_secret not in repr(plain)
    assert plain.api_secret in FILE.read_text()
