"""How the vault answers when it does not do what it is asked.

VaultUnavailable leaves the service as it is. The others are the vault's own answers, which only the caller of
a path can judge:

    VaultUnavailable    down, sealed, too slow, or it does not let the broker in
    VaultAnswer
      Absent            404: there is nothing at this path
      Denied            403: the token is good, but may not do this
      Rejected          400 or 500: the vault says why
"""

from contracts.faults import Code, TransientError


class VaultUnavailable(TransientError):
    """The vault can not be used now; another try may find it well."""

    def __init__(self, detail: str) -> None:
        super().__init__(Code.VAULT_UNAVAILABLE, detail)


class VaultAnswer(Exception):
    """The vault is there and says no."""


class Absent(VaultAnswer):
    """There is nothing at this path."""


class Denied(VaultAnswer):
    """The vault does not allow this request."""


class Rejected(VaultAnswer):
    """The vault can not carry out the request; `reason` is its own text, to compare and never to show."""

    def __init__(self, reason: str) -> None:
        super().__init__("the vault rejects the request")
        self.reason = reason
