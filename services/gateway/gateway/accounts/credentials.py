"""What a submitted credential must be, how its secret is wrapped for the vault, and what it may do."""

import secrets

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from contracts.credentials import Fields, Keys
from contracts.events import Verified
from contracts.exchanges.types import Exchange
from contracts.faults import failure
from contracts.wire.pinning import (
    NotAWrappingKey,
    load_wrapping_key,
    sealing_key_fingerprint,
    wrapping_key_fingerprint,
)
from gateway.accounts.rights import judge_key
from gateway.advice import Advice
from gateway.errors import faulted

HINT_LENGTH = 4


class KeysRefused(Exception):
    """Keys that the operator did not pin; the text names which of the two."""


class Pinned(msgspec.Struct, frozen=True):
    """The fingerprints of the only keys that a credential is handed over with, two while one is rotated."""

    wrapping: frozenset[str]
    sealing: frozenset[str]

    def check(self, keys: Keys) -> None:
        """Compare the keys that the broker sends with the pinned fingerprints; raises KeysRefused."""
        try:
            wrapping = wrapping_key_fingerprint(keys.wrapping_key)
        except NotAWrappingKey:
            raise KeysRefused("wrapping") from None
        if wrapping not in self.wrapping:
            raise KeysRefused("wrapping")
        if sealing_key_fingerprint(keys.sealing_key) not in self.sealing:
            raise KeysRefused("sealing")


def wrap_secret(secret: bytes, wrapping_key_pem: str) -> bytes:
    """Wrap a secret for Vault's transit import: RSA-OAEP-SHA256 of an AES key, then AES-KWP of the secret.

    Raises NotAWrappingKey.
    """
    key = load_wrapping_key(wrapping_key_pem)
    once = secrets.token_bytes(32)
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    return key.encrypt(once, oaep) + aes_key_wrap_with_padding(once, secret)


def check_read_only(exchange: Exchange, verified: Verified, advice: Advice | None = None) -> None:
    """Refuse a key that may do more than read, or not even that; raises Faulted, in the words of `advice`."""
    finding = judge_key(exchange, verified.permissions)
    if finding is not None:
        rights = {"rights": list(finding.rights)} if finding.rights else {}
        raise faulted(failure(finding.code, finding.detail), advice, **rights)


def api_key_hint(exchange: Exchange, fields: Fields) -> str:
    """Give the last four characters of the first field that is no secret, fewer of a short one."""
    text = next((fields[field.key].reveal() for field in exchange.credential_fields if not field.secret), "")
    return text[-HINT_LENGTH:] if len(text) >= 4 * HINT_LENGTH else ""
