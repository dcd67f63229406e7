"""OKX: HMAC-SHA256 over timestamp, method, target and body. Source: https://www.okx.com/docs-v5/en/#overview-rest-authentication."""

from datetime import UTC, datetime

from contracts.credentials import Fields, SignedRead
from contracts.values import Secret
from vault_broker.schemes.types import HMAC_SHA256, Draft, Scheme


def iso_timestamp(milliseconds: int) -> str:
    """Format milliseconds since the epoch as OKX requires: `2020-12-08T09:08:57.715Z`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def prehash(timestamp: str, method: str, target: str, body: str = "") -> bytes:
    """Return the bytes that the signature covers."""
    return f"{timestamp}{method}{target}{body}".encode()


def message(draft: Draft, _fields: Fields) -> bytes:
    """Return the bytes that the signature of a read covers."""
    return prehash(draft.stamp, draft.request.method, draft.request.target, draft.request.content)


def write(draft: Draft, fields: Fields, signature: str) -> SignedRead:
    """Return the read with the signature in its headers."""
    return draft.signed(
        {
            "OK-ACCESS-KEY": fields["api_key"],
            "OK-ACCESS-SIGN": Secret(signature),
            "OK-ACCESS-TIMESTAMP": Secret(draft.stamp),
            "OK-ACCESS-PASSPHRASE": fields["passphrase"],
        }
    )


OKX = Scheme(key=HMAC_SHA256, stamp=iso_timestamp, message=message, write=write)
