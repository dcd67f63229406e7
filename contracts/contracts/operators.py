"""Tokens of operators: their form, and the hash of which the database holds the only copy."""

import hashlib
import re
import secrets
from enum import StrEnum
from uuid import UUID

import msgspec

from contracts.values import Secret

# A name that scanners for leaked secrets can look for; the id finds the row without a search for the secret.
FORM = re.compile(r"butler-operator\.([0-9a-f]{32})\.([\w-]{43})", re.ASCII)
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}", re.ASCII)


class Role(StrEnum):
    """The rights of an operator's token: a viewer reads, an operator also acts."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class OperatorToken(msgspec.Struct, frozen=True):
    """The id of an operator, and the secret of 256 random bits that proves it."""

    operator_id: UUID
    secret: Secret

    @property
    def hash(self) -> bytes:
        """Return the hash of the secret; a plain one is enough because the secret is random."""
        return hashlib.sha256(self.secret.reveal().encode()).digest()

    def written(self) -> Secret:
        """Return the text that an operator sends."""
        return Secret(f"butler-operator.{self.operator_id.hex}.{self.secret.reveal()}")


def new_token(operator_id: UUID) -> OperatorToken:
    """Return a new token of an operator."""
    return OperatorToken(operator_id, Secret(secrets.token_urlsafe(32)))


def read_token(text: str) -> OperatorToken | None:
    """Read a token; None for any other text."""
    found = FORM.fullmatch(text)
    return OperatorToken(UUID(found[1]), Secret(found[2])) if found else None
