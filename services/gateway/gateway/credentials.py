"""What a submitted credential must be, how its secret is wrapped for the vault, and what it may do."""

import hashlib
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from contracts.accounts import Verified
from contracts.catalogue import Exchange
from contracts.faults import Code, failure
from contracts.values import Secret
from gateway.advice import Advice
from gateway.errors import problem_of

HINT_LENGTH = 4


class WrappingKeyRefused(Exception):
    """A wrapping key that can not be used, or is not the one that the operator pinned."""


def wrap_secret(api_secret: Secret, wrapping_key_pem: str) -> bytes:
    """Wrap a secret for Vault's transit import: RSA-OAEP-SHA256 of an AES key, then AES-KWP of the secret.

    Raises WrappingKeyRefused when the key is not RSA.
    """
    key = load_wrapping_key(wrapping_key_pem)
    once = secrets.token_bytes(32)
    oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    return key.encrypt(once, oaep) + aes_key_wrap_with_padding(once, api_secret.reveal().encode())


def load_wrapping_key(pem: str) -> RSAPublicKey:
    """Read Vault's wrapping key; raises WrappingKeyRefused."""
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        raise WrappingKeyRefused("the wrapping key can not be read") from None
    if not isinstance(key, RSAPublicKey):
        raise WrappingKeyRefused("the wrapping key is not RSA")
    return key


def check_fingerprint(pem: str, pinned: str | None) -> None:
    """Compare a wrapping key with the pinned SHA-256 of its DER form (hex); raises WrappingKeyRefused."""
    der = load_wrapping_key(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if pinned is not None and not secrets.compare_digest(hashlib.sha256(der).hexdigest(), pinned.lower()):
        raise WrappingKeyRefused("the wrapping key is not the pinned one")


def check_read_only(exchange: Exchange, verified: Verified, advice: Advice | None = None) -> None:
    """Refuse a key that may do more than read, or not even that; raises Problem, in the words of `advice`."""
    excess = sorted(set(verified.permissions) - exchange.read_only_permissions)
    if excess:
        rights = f"Its other rights are: {', '.join(excess)}."
        problem = problem_of(failure(Code.OVER_PRIVILEGED_KEY, rights), advice)
        problem.members["rights"] = excess
        raise problem
    if not exchange.read_only_permissions <= set(verified.permissions):
        raise problem_of(failure(Code.PERMISSION_MISSING), advice)


def api_key_hint(api_key: Secret) -> str:
    """Give the last four characters of an API key, fewer of a short one."""
    text = api_key.reveal()
    return text[-HINT_LENGTH:] if len(text) >= 4 * HINT_LENGTH else ""
