"""Errors of the vault.

VaultUnavailable is reported to the caller of the broker unchanged. The others are the vault's own responses;
only the code that uses a path knows their meaning:

    VaultUnavailable    down, sealed, too slow, or the vault does not admit the broker
    VaultAnswer
      Absent            404: the path is empty
      Denied            403: the token is valid, but does not allow this
      Rejected          400 or 500: the vault states the reason
"""

from contracts.faults import Code, TransientError


class VaultUnavailable(TransientError):
    """The vault cannot be used now; a retry may succeed."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.VAULT_UNAVAILABLE, detail)


class VaultAnswer(Exception):
    """The vault is available and refuses the request."""


class Absent(VaultAnswer):
    """The path is empty."""


class Denied(VaultAnswer):
    """The vault does not allow this request."""


class Rejected(VaultAnswer):
    """The vault cannot carry out the request; `reason` is its own text, to compare and never to show."""

    def __init__(self, reason: str) -> None:
        super().__init__("the vault rejects the request")
        self.reason = reason
