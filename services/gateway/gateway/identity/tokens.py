"""Sessions as their tokens tell them: who is signed in, and refresh tokens (random, stored hashed)."""

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
    """The user of a request and the family of refresh tokens that the access token belongs to."""

    family_id: UUID


class Renewed(msgspec.Struct, frozen=True):
    """A session that begins or goes on with another refresh token; `now` is the database's time."""

    user_id: UUID
    family_id: UUID
    refresh_token: Secret
    now: datetime


def new_refresh_token() -> Secret:
    """Make a refresh token of 256 random bits."""
    return Secret(secrets.token_urlsafe(32))


def refresh_hash(token: Secret) -> bytes:
    """Hash a refresh token for storage; a plain hash is enough for a random one."""
    return hashlib.sha256(token.reveal().encode()).digest()
