"""The signed-in user of a token, and refresh tokens (random, stored hashed)."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from contracts.values import Secret
from gateway.store.users import User

ACCESS_LIFE = timedelta(minutes=15)
REFRESH_LIFE = timedelta(days=30)


class SignedIn(User, frozen=True, kw_only=True):
    """The user of a request, and the refresh token family of the access token."""

    family_id: UUID


class Renewed(msgspec.Struct, frozen=True):
    """A session with a new refresh token; `now` is the database's time."""

    user_id: UUID
    family_id: UUID
    refresh_token: Secret
    now: datetime


def new_refresh_token() -> Secret:
    """Return a new refresh token of 256 random bits."""
    return Secret(secrets.token_urlsafe(32))


def refresh_hash(token: Secret) -> bytes:
    """Hash a refresh token for storage; a plain hash is enough because the token is random."""
    return hashlib.sha256(token.reveal().encode()).digest()
