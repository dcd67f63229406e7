"""Recognition of key material that users paste into the wrong field. Pure."""

from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from contracts.exchanges.types import Exchange
from contracts.values import Secret

MARKS = ("-----BEGIN", "-----END")
# The shortest DER of a private key in base64, of an Ed25519 key, has 64 characters.
SHORTEST = 60


class Material(StrEnum):
    """The kind of key material in a pasted value."""

    RSA = "rsa"
    PRIVATE = "private"


def material_in(text: str) -> Material | None:
    """Return the kind of key in a value, as PEM or as the base64 of its DER; None for any other value."""
    if "PRIVATE KEY-----" in text:
        return Material.RSA if "RSA PRIVATE KEY" in text or _is_rsa(_body(text)) else Material.PRIVATE
    body = _body(text)
    if len(body) < SHORTEST:
        return None
    if _is_rsa(body):
        return Material.RSA
    return Material.PRIVATE if _loaded(body) is not None else None


def refused_material(exchange: Exchange, given: Mapping[str, Secret]) -> dict[str, str]:
    """Return why we refuse each value that is a key of its own, for an exchange with a born kind.

    The text repeats no value. An exchange without a born kind may take private keys by a field.
    """
    if not any(kind.born for kind in exchange.credential_kinds):
        return {}
    found = {name: material_in(secret.reveal()) for name, secret in given.items()}
    named = {field.key for kind in exchange.credential_kinds for field in kind.fields}
    return {
        name if name in named else "": _refused(exchange, material)
        for name, material in found.items()
        if material is not None
    }


def _refused(exchange: Exchange, material: Material) -> str:
    born = (
        f"Use a born key instead: make an offer with POST /api/v1/key-offers, give {exchange.name} its "
        "public key, and send the API key that you get with the `offer`."
    )
    if material is Material.RSA:
        return (
            "This is an RSA key, which we do not take: its private half was made outside our vault, and "
            f"{exchange.name} recommends Ed25519. {born}"
        )
    return (
        "This is a private key, which you must not give to anybody: we refuse it. Delete it at the exchange, "
        f"because others may have seen it. {born}"
    )


def _body(text: str) -> str:
    """Return the base64 of a PEM, whatever its line ends became, or the text without white space."""
    plain = text.replace("\\r", "").replace("\\n", "\n")
    if MARKS[0] in plain:
        plain = plain.partition(MARKS[0])[2].partition("-----")[2].partition(MARKS[1])[0]
    return "".join(plain.split())


def _is_rsa(body: str) -> bool:
    if isinstance(_loaded(body), RSAPrivateKey):
        return True
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        return isinstance(load_der_public_key(b64decode(body, validate=True)), RSAPublicKey)
    return False


def _loaded(body: str) -> object | None:
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        return load_der_private_key(b64decode(body, validate=True), None)
    return None
