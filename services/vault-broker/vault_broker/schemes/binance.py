"""Binance: a signature over the query, which it ends. Source: https://developers.binance.com/docs.

A typed secret signs with HMAC-SHA256, written in hex; a key that is born in the vault signs with Ed25519, in
base64. Binance requires percent-encoding before signing, which changes no value in `[A-Za-z0-9._,-]`.
"""

from base64 import b64decode
from collections.abc import Callable

from contracts.credentials import Fields, SignedRead
from contracts.exchanges.types import Request
from contracts.values import Secret
from vault_broker.schemes.types import ED25519, HMAC_SHA256, Draft, Scheme

# Milliseconds; Binance refuses a read that it receives later after its timestamp.
RECV_WINDOW = "5000"


def _stamped(draft: Draft) -> Request:
    return draft.request.adding(query={"recvWindow": RECV_WINDOW, "timestamp": draft.stamp})


def message(draft: Draft, _fields: Fields) -> bytes:
    """Return the bytes that the signature of a read covers: its query, because no read has a body."""
    return _stamped(draft).target.partition("?")[2].encode()


def hexadecimal(signature: str) -> str:
    """Return an HMAC as Binance writes it."""
    return b64decode(signature).hex()


def escaped(signature: str) -> str:
    """Return a signature in base64 as it stands in a query: only `+` means something else there."""
    return signature.replace("+", "%2B")


def _writing(written: Callable[[str], str]) -> Callable[[Draft, Fields, str], SignedRead]:
    def write(draft: Draft, fields: Fields, signature: str) -> SignedRead:
        signed = _stamped(draft).adding(query={"signature": written(signature)})
        return draft.signed({"X-MBX-APIKEY": Secret(fields["api_key"].reveal())}, signed)

    return write


TYPED = Scheme(key=HMAC_SHA256, stamp=str, message=message, write=_writing(hexadecimal), kind="hmac")
BORN = Scheme(key=ED25519, stamp=str, message=message, write=_writing(escaped), kind="born")
