"""The kinds of keys of an exchange, and the fields of each as the exchange hands them out."""

from enum import StrEnum

import msgspec

from contracts.values import MIN_KEY_BYTES

# The vault's record of a credential holds its exchange under this name, next to the fields.
RESERVED = "exchange"
# It also names the engine with the signing key here, if that is not the first one.
ENGINE = "engine"
# The kind of the key, if it is not the first typed one, and the offer whose key signs for a born one.
KIND, OFFER = "kind", "offer"
RESERVED_NAMES = (RESERVED, ENGINE, KIND, OFFER)


class Form(StrEnum):
    """The format of a field's value; a PEM holds a private key."""

    TEXT = "text"
    BASE64 = "base64"
    PEM = "pem"


# The characters of a value that holds MIN_KEY_BYTES; each character of base64 holds 6 bits.
SHORTEST_SIGNING = {Form.TEXT: MIN_KEY_BYTES, Form.BASE64: -(-MIN_KEY_BYTES * 8 // 6), Form.PEM: 0}


class Curve(StrEnum):
    """The curve of a private key."""

    P256 = "P-256"
    ED25519 = "Ed25519"


class CredentialField(msgspec.Struct, frozen=True):
    """One part of an API key as the exchange hands it out.

    `form` is the format of its value: printable ASCII, base64, or the PEM of a private key on `curve`. The
    value has `shortest` to `longest` characters. The field that `signs` becomes a key in the vault, and no
    program can read it again. `help` tells a user where to find the value.
    """

    key: str
    name: str
    secret: bool
    form: Form = Form.TEXT
    shortest: int = 1
    longest: int = 256
    signs: bool = False
    curve: Curve | None = None
    help: str = ""


class CredentialKind(msgspec.Struct, frozen=True):
    """One kind of key that an exchange accepts, with all its fields.

    Of a typed kind, exactly one field `signs`. With `born`, the vault makes the signing key: a user gives the
    exchange its public half, and no field signs. `steps` tell a user how to make such a key at the exchange.
    """

    key: str
    name: str
    fields: tuple[CredentialField, ...]
    born: bool = False
    steps: tuple[str, ...] = ()

    @property
    def signing_field(self) -> CredentialField | None:
        """Return the field that becomes the key in the vault; None for a key that is born there."""
        return next((field for field in self.fields if field.signs), None)

    @property
    def sealed_fields(self) -> tuple[CredentialField, ...]:
        """Return the fields that do not sign, which the exchange sees in clear."""
        return tuple(field for field in self.fields if not field.signs)

    def fault(self) -> str | None:
        """Return why the kind contradicts itself; None if it does not."""
        fields = self.fields
        if len({*RESERVED_NAMES, *(field.key for field in fields)}) != len(fields) + len(RESERVED_NAMES):
            return "each field needs a name of its own"
        if sum(field.signs for field in fields) != (not self.born):
            return "no field of a born key signs" if self.born else "one field signs"
        if any((field.form is Form.PEM) != (field.signs and field.curve is not None) for field in fields):
            return "only the signing field may be a PEM, and only a PEM has a curve"
        signing = self.signing_field
        if signing is not None and signing.shortest < SHORTEST_SIGNING[signing.form]:
            return f"the entry must require at least {MIN_KEY_BYTES} bytes for {signing.key}"
        return None
