"""The email address and password of a test login."""

from contracts.values import Secret
from gateway.identity.presented import Presented

PASSWORD = "correct horse battery"
ADDRESS = "203.0.113.7"


def presented(
    email: str = "me@example.com", password: str = PASSWORD, address: str | None = ADDRESS
) -> Presented:
    """Return an email address and a password."""
    return Presented(email, Secret(password), address)
