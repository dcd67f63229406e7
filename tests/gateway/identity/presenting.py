"""An email address and a password of tests."""

from contracts.values import Secret
from gateway.identity.presented import Presented

PASSWORD = "correct horse battery"
ADDRESS = "203.0.113.7"


def presented(
    email: str = "me@example.com", password: str = PASSWORD, address: str | None = ADDRESS
) -> Presented:
    """Present an email address and a password."""
    return Presented(email, Secret(password), address)
