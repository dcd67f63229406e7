"""Files of the gateway's signing keys, and of the public keys that belong to them."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from contracts.wire.key_files import created, created_line, load_signing_key, pieces


def new_key() -> bytes:
    """Return a new Ed25519 key as PEM, after the line with its time."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return created_line(datetime.now(UTC)) + pem


def public_pem(private: bytes) -> bytes:
    """Return the public parts of a file of private keys in its order, each after the line with its time."""
    return b"".join(map(_public, pieces(private)))


def _public(piece: bytes) -> bytes:
    made, key = created(piece), load_signing_key(piece).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return (created_line(made) if made else b"") + pem
