"""Files of Ed25519 keys: PEM blocks, each after an optional line that says when the key was made.

In a file of private keys the first key signs, and the others count, too, while keys are rotated. RFC 7468
allows text before a block, so readers of the previous release read the first key of each file.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

# The key in use, its successor or predecessor, and room for a second rotation that follows in a hurry.
MAX_KEYS = 4
_BEGIN = b"-----BEGIN "
_END = re.compile(rb"(-----END [A-Z ]+-----)")
_CREATED = re.compile(rb"^Created: (\S+)\s*$", re.MULTILINE)

Key = TypeVar("Key", Ed25519PrivateKey, Ed25519PublicKey)


class Verifier(Protocol):
    """One public key, or several of which any may have signed."""

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """Check a signature; raises InvalidSignature."""


@dataclass(frozen=True)
class VerifyingKeys:
    """Several public keys: a signature is valid if one of them made it.

    `made` is the time when the first one was made, None if its file does not say it.
    """

    keys: tuple[Ed25519PublicKey, ...]
    made: datetime | None = None

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """Check a signature; raises InvalidSignature."""
        for key in self.keys:
            with suppress(InvalidSignature):
                key.verify(signature, data)
                return
        raise InvalidSignature


@dataclass(frozen=True)
class SigningKeys:
    """The private keys of a file: `current` signs, and what one of `others` signed is accepted, too."""

    current: Ed25519PrivateKey
    others: tuple[Ed25519PrivateKey, ...] = ()
    made: datetime | None = None

    @property
    def all(self) -> tuple[Ed25519PrivateKey, ...]:
        """Return all keys, the current one first."""
        return self.current, *self.others

    @property
    def accepted(self) -> VerifyingKeys:
        """Return the public keys whose signatures count."""
        return VerifyingKeys(tuple(key.public_key() for key in self.all), self.made)


def read_signing_keys(content: bytes) -> SigningKeys:
    """Read a file of private keys; raises ValueError for other keys, damaged blocks and no or many keys."""
    current, *others = _keys(content, load_signing_key)
    return SigningKeys(current, tuple(others), created(content))


def read_verifying_keys(content: bytes) -> VerifyingKeys:
    """Read a file of public keys; raises ValueError for other keys, damaged blocks and no or many keys."""
    return VerifyingKeys(_keys(content, _verifying_key), created(content))


def load_signing_key(pem: bytes) -> Ed25519PrivateKey:
    """Read an Ed25519 private key; raises ValueError for any other key."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 private key")
    return key


def pieces(content: bytes) -> list[bytes]:
    """Return the blocks of a file, each with the text before it; raises ValueError for no or many blocks.

    A damaged block is an error, too, because its key would silently not count.
    """
    *parts, rest = _END.split(content)
    found = [lead + end for lead, end in zip(parts[::2], parts[1::2], strict=True)]
    if not 0 < len(found) <= MAX_KEYS or _BEGIN in rest or any(each.count(_BEGIN) != 1 for each in found):
        raise ValueError("not a file of keys")
    return found


def last_line(content: bytes) -> bytes:
    """Return the seed of an nkey, which is the last line of its file."""
    return content.strip().rpartition(b"\n")[2]


def created(content: bytes) -> datetime | None:
    """Return the time when the first key of a file was made; None if the file does not say it."""
    found = _CREATED.search(content.partition(_BEGIN)[0])
    with suppress(ValueError):
        time = datetime.fromisoformat(found[1].decode("ascii")) if found else None
        return time if time and time.tzinfo else None
    return None


def created_line(time: datetime) -> bytes:
    """Return the line that says when a key was made, to be written before its block."""
    return f"Created: {time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode()


def _verifying_key(pem: bytes) -> Ed25519PublicKey:
    key = load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def _keys(content: bytes, load: Callable[[bytes], Key]) -> tuple[Key, ...]:
    return tuple(load(piece) for piece in pieces(content))
