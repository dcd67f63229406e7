"""OKX: HMAC-SHA256 over timestamp, method and target. Source: https://www.okx.com/docs-v5/en/#overview-rest-authentication."""

from datetime import UTC, datetime

from contracts.credentials import CredentialParts
from contracts.values import Secret
from vault_broker.schemes.types import Draft, Scheme


def iso_timestamp(milliseconds: int) -> str:
    """Write milliseconds since the epoch as OKX wants them: `2020-12-08T09:08:57.715Z`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def prehash(timestamp: str, method: str, target: str) -> bytes:
    """Give the bytes that the signature covers."""
    return f"{timestamp}{method}{target}".encode()


def headers(draft: Draft, parts: CredentialParts, signature: str) -> dict[str, Secret]:
    """Write the headers of a signed request."""
    return {
        "OK-ACCESS-KEY": parts.api_key,
        "OK-ACCESS-SIGN": Secret(signature),
        "OK-ACCESS-TIMESTAMP": Secret(draft.timestamp),
        "OK-ACCESS-PASSPHRASE": parts.passphrase,
    }


OKX = Scheme(timestamp=iso_timestamp, prehash=prehash, headers=headers)
