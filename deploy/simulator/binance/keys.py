"""The keys of the accounts, which sign with HMAC, RSA or Ed25519, and the public keys that users upload."""

import hmac
import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from urllib.parse import unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from deploy.simulator.binance.accounts import Account, Accounts

KEY_FORMAT = re.compile(r"[A-Za-z0-9]{64}")
HEX = re.compile(rb"[0-9A-Fa-f]{64}")
RSA_BITS = (2048, 4096)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key of an account; an HMAC key has a secret, the others a public key in PEM."""

    api_key: str
    account: Account
    rights: Mapping[str, bool]
    created: int
    secret: str = ""
    public_key: str = ""

    def __repr__(self) -> str:
        return f"Key(account={self.account.name!r}, credentials=***)"

    def signed(self, payload: bytes, signature: str) -> bool:
        """Return whether this key made a signature, as it stands in the request, over a payload."""
        given = unquote_to_bytes(signature)
        if self.secret:
            expected = hmac.digest(self.secret.encode(), payload, "sha256").hex()
            return bool(HEX.fullmatch(given)) and hmac.compare_digest(given.lower().decode(), expected)
        return verified(self.public_key, payload, given)


def verified(public_key: str, payload: bytes, signature: bytes) -> bool:
    """Return whether a signature in Base64 over a payload fits a public key."""
    key = load_pem_public_key(public_key.encode())
    try:
        octets = b64decode(signature, validate=True)
        if isinstance(key, RSAPublicKey):
            key.verify(octets, payload, PKCS1v15(), SHA256())
        elif isinstance(key, Ed25519PublicKey):
            key.verify(octets, payload)
        else:
            return False
    except (Error, InvalidSignature, ValueError):
        return False
    return True


def public_of(private_key: str) -> str:
    """Return the public half of a private key in PEM; an empty text without a key."""
    if not private_key:
        return ""
    public = load_pem_private_key(private_key.encode(), None).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Keys:
    """All keys: the keys of the accounts file, and the uploaded ones."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._keys = {
            account.api_key: Key(
                account.api_key,
                account,
                account.rights,
                account.created,
                account.api_secret,
                public_of(account.private_key),
            )
            for account in accounts.accounts
            if account.api_key
        }

    def find(self, api_key: str) -> Key | None:
        """Return a key."""
        return self._keys.get(api_key)

    def upload(self, account: str, public_key: str, rights: Mapping[str, bool], now: datetime) -> str:
        """Keep a public key of an account and return its API key; raises ValueError for another kind of key.

        The same public key again keeps its API key, with the account's rights and the rights given now.
        """
        try:
            key = load_pem_public_key(public_key.encode())
        except ValueError as error:
            raise ValueError("this is not a valid public key in PEM") from error
        if not isinstance(key, Ed25519PublicKey) and not (
            isinstance(key, RSAPublicKey) and key.key_size in RSA_BITS
        ):
            raise ValueError("the exchange takes Ed25519 keys, and RSA keys of 2048 or 4096 bits")
        owner = self._accounts[account]
        granted = owner.rights | dict(rights)
        api_key = sha256(f"{account} {public_key.strip()}".encode()).hexdigest()
        created = int(now.timestamp() * 1000)
        self._keys[api_key] = Key(api_key, owner, granted, created, public_key=public_key)
        return api_key
