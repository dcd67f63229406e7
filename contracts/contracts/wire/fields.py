"""The fields of a credential: checks of each value, and the bytes of the signing field."""

import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from contextlib import suppress

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from contracts.exchanges.keys import CredentialField, Curve, Form
from contracts.exchanges.types import Exchange
from contracts.faults import Code, failure
from contracts.values import MIN_KEY_BYTES, Secret

# Other programs may turn the line ends of a PEM into spaces, or into the two characters of an escape.
_PEM = re.compile(r"-----BEGIN ((?:EC )?PRIVATE KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----", re.ASCII)


PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey


class _Unusable(Exception):
    """The value cannot be used; the text says why and does not repeat the value."""


def wrong_fields(
    exchange: Exchange, fields: Collection[CredentialField], given: Mapping[str, Secret]
) -> dict[str, str]:
    """Return the reason for each wrong field, in a text that repeats no value; "" stands for unknown names.

    The text does not repeat an unknown name, because it may be a value in the wrong place.
    """
    wrong = {}
    for field in fields:
        try:
            _check(field, given.get(field.key))
        except _Unusable as error:
            wrong[field.key] = str(error)
    names = [field.key for field in fields]
    if not given.keys() <= {*names}:
        wrong[""] = f"There is an unknown field: a key of {exchange.name} has {', '.join(names)}."
    return wrong


def key_bytes(field: CredentialField, value: Secret) -> bytes:
    """Return the bytes that the vault imports: text, decoded base64, or the PKCS #8 DER of a private key.

    Raises Failure(secret_unusable) for a value that `wrong_fields` refuses.
    """
    try:
        _check(field, value)
        return _imported(field, value.reveal())
    except _Unusable:
        raise failure(Code.SECRET_UNUSABLE) from None


def _check(field: CredentialField, value: Secret | None) -> None:
    """Check a value for use in header fields and queries, which carry printable ASCII; raises _Unusable."""
    name = field.key
    if value is None:
        raise _Unusable(f"The {name} is missing.")
    text = value.reveal()
    if not text:
        raise _Unusable(f"The {name} is empty.")
    if len(text) > field.longest:
        raise _Unusable(f"The {name} is longer than {field.longest} characters.")
    if not text.isascii():
        raise _Unusable(
            f"The {name} holds a character, perhaps an invisible one, that is not ASCII: we can not send it."
        )
    if field.form is not Form.PEM:
        _check_line(field, text)
    if field.signs:
        _imported(field, text)


def _check_line(field: CredentialField, text: str) -> None:
    if not text.isprintable():
        raise _Unusable(f"The {field.key} holds a line break or another control character inside.")
    if len(text) < field.shortest:
        raise _Unusable(f"The {field.key} is shorter than {field.shortest} characters.")
    if field.form is Form.BASE64:
        _decoded(field, text)


def _imported(field: CredentialField, text: str) -> bytes:
    """Return the bytes of a value that signs; raises _Unusable."""
    if field.form is Form.PEM:
        return _private_key(field, text).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    raw = _decoded(field, text) if field.form is Form.BASE64 else text.encode()
    if len(raw) < MIN_KEY_BYTES:
        raise _Unusable(f"The {field.key} is shorter than {MIN_KEY_BYTES} bytes.")
    return raw


def _decoded(field: CredentialField, text: str) -> bytes:
    raw = b""
    with suppress(ValueError):
        raw = b64decode(text, validate=True)
    if b64encode(raw).decode() != text:  # Python's decoder accepts superfluous padding
        raise _Unusable(f"The {field.key} is not valid base64.")
    return raw


def _private_key(field: CredentialField, text: str) -> PrivateKey:
    found = _PEM.fullmatch(text.replace("\\r", "").replace("\\n", "\n").strip())
    key: object = None
    if found is not None:
        with suppress(ValueError, TypeError, UnsupportedAlgorithm):
            key = load_der_private_key(b64decode("".join(found[2].split()), validate=True), None)
    if (
        field.curve == Curve.P256
        and isinstance(key, EllipticCurvePrivateKey)
        and key.curve.name == SECP256R1.name
    ):
        return key
    if field.curve is Curve.ED25519 and isinstance(key, Ed25519PrivateKey):
        return key
    raise _Unusable(f"The {field.key} is not the PEM of a private key on {field.curve} without a password.")
