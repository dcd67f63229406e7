"""Rules for submitted credentials: pinned vault keys, wrapping of the secret, and read-only rights."""

import secrets

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from contracts.credentials import Fields, Keys, Verified
from contracts.exchanges.keys import CredentialKind
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
from gateway.errors import Faulted

HINT_LENGTH = 4


class KeysRefused(Exception):
    """A key of the vault does not match its pinned fingerprints; the text names the key."""


class Pinned(msgspec.Struct, frozen=True):
    """The fingerprints of the trusted vault keys, two of a key during its rotation."""

    wrapping: frozenset[str]
    sealing: frozenset[str]

    def check(self, keys: Keys) -> None:
        """Raise KeysRefused if the broker's keys do not match the pinned fingerprints."""
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
    """Raise Faulted, in the words of `advice`, for a key that may do more than read or may not read."""
    finding = judge_key(exchange, verified.permissions)
    if finding is not None:
        rights = {"rights": list(finding.rights)} if finding.rights else {}
        raise Faulted(failure(finding.code, finding.detail), advice, **rights)


def api_key_hint(kind: CredentialKind, fields: Fields) -> str:
    """Return the last four characters of the first field that is not secret, fewer if it is short."""
    text = next((fields[field.key].reveal() for field in kind.fields if not field.secret), "")
    return text[-HINT_LENGTH:] if len(text) >= 4 * HINT_LENGTH else ""
