"""The toy exchange: a bearer token, signed with ES256, over method, target and body, which has a nonce."""

from base64 import urlsafe_b64encode
from hashlib import sha256

import msgspec

from contracts.credentials import Fields, SignedRead
from contracts.exchanges.types import Request
from contracts.values import Secret
from vault_broker.schemes.types import ES256, Draft, Scheme


def _request(draft: Draft) -> Request:
    return (
        draft.request.adding(body={"nonce": draft.stamp}) if draft.request.method == "POST" else draft.request
    )


def _part(fields: dict[str, object]) -> str:
    return urlsafe_b64encode(msgspec.json.encode(fields)).decode().rstrip("=")


def message(draft: Draft, fields: Fields) -> bytes:
    """Return header and claims."""
    request = _request(draft)
    header: dict[str, object] = {"alg": "ES256", "kid": fields["key_id"].reveal()}
    claims: dict[str, object] = {
        "uri": f"{request.method} {request.target}",
        "body": sha256(request.content.encode()).hexdigest(),
        "time": draft.exchange_time_ms,
    }
    return f"{_part(header)}.{_part(claims)}".encode()


def write(draft: Draft, fields: Fields, signature: str) -> SignedRead:
    """Write the token into its header, and the nonce into the body."""
    headers = {
        "authorization": Secret(f"Bearer {message(draft, fields).decode()}.{signature}"),
        "x-pin": fields["pin"],
    }
    if draft.request.method == "POST":
        headers["content-type"] = Secret("application/json")
    return draft.signed(headers, _request(draft))


TOY = Scheme(key=ES256, stamp=str, message=message, write=write)
