"""Submitted email addresses and passwords, and the rules for a new password. Pure."""

import re

import msgspec

from contracts.values import Secret
from gateway.accounts.pasted import trimmed
from gateway.errors import InvalidInput, WeakPassword
from gateway.identity.common_passwords import is_common, is_email

EMAIL = re.compile(r"[!-?A-~]{1,64}@[!-?A-~]{1,190}", re.ASCII)
PASSWORD_LENGTH = range(8, 129)


class Presented(msgspec.Struct, frozen=True):
    """A submitted email address and password, and the client's address."""

    email: str
    password: Secret
    address: str | None


def checked_email(text: str) -> str:
    """Return an email address in lower case, with its ends trimmed; raises InvalidInput."""
    email = trimmed(text).lower()
    if not EMAIL.fullmatch(email):
        raise InvalidInput("The email address is not valid.")
    return email


def check_new_password(password: Secret, email: str) -> None:
    """Raise InvalidInput for a wrong length, WeakPassword for a common password or the user's own address."""
    if len(password) not in PASSWORD_LENGTH:
        raise InvalidInput("The password must have 8 to 128 characters.")
    if is_email(password.reveal(), email):
        raise WeakPassword("The password is your email address: choose another.")
    if is_common(password.reveal()):
        raise WeakPassword(
            "This password is one of the commonest, or is made of what is tried first: choose a rarer one, "
            "such as three words or more."
        )
