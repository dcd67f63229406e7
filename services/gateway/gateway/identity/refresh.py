"""Exchanging refresh tokens: each once, and the last used one again within 20 s for the same successor."""

import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts.values import Secret
from gateway.errors import NotSignedIn, RefreshTokenReused, UserDisabled
from gateway.identity.throttle import admit_refresh
from gateway.identity.tokens import Renewed, refresh_hash
from gateway.limits import Limits
from gateway.store import audit, disabled_users, users
from gateway.store.audit import Action
from gateway.store.pool import Connection, Pool, database_time
from gateway.store.users import RefreshToken

MAX_LENGTH = 128
# Two browser tabs, or a phone that lost the response, repeat the request within this time.
REPEATED_WITHIN = timedelta(seconds=20)
PURPOSE = b"crypto-pocket-butler: successors of refresh tokens, 1"


class Refreshing:
    """Derives the successor of a refresh token from the token and a key that all gateways share.

    So a repeat gets the same successor, although the database holds only hashes. Deriving a successor needs
    both the key and the token.
    """

    def __init__(self, pool: Pool, key: Ed25519PrivateKey, allowed: Limits) -> None:
        self._pool = pool
        self._limits = allowed
        self._key = HKDF(SHA256(), 32, None, PURPOSE).derive(key.private_bytes_raw())

    async def refresh(self, presented: Secret, address: str | None) -> Renewed:
        """Exchange a token; raises NotSignedIn and UserDisabled.

        A token that is used too late or too often ends its login.
        """
        if len(presented) > MAX_LENGTH:
            raise _unknown()
        successor = self._successor(presented)
        hashes = refresh_hash(presented), refresh_hash(successor)
        token = None
        try:
            async with self._pool.transaction() as connection:
                token = await users.take_refresh_token(connection, *hashes, REPEATED_WITHIN)
                await admit_refresh(connection, self._limits, token, address)
                refusal = _refusal(token)
                if token is not None and refusal is None:
                    return await _renewed(connection, token, successor)
                if token is not None and not token.family_over:
                    await _end(connection, token, address)
        except UserDisabled:  # nothing is used up, so that the login goes on when the user is enabled
            async with self._pool.transaction() as connection:
                await admit_refresh(connection, self._limits, token, address)
            raise
        raise refusal or _unknown()

    def _successor(self, token: Secret) -> Secret:
        """Derive the successor of a token: 256 bits in the form of a new token."""
        digest = hmac.digest(self._key, token.reveal().encode(), "sha256")
        return Secret(urlsafe_b64encode(digest).rstrip(b"=").decode())


async def _renewed(connection: Connection, token: RefreshToken, successor: Secret) -> Renewed:
    """Store the successor of a token that was used the first time; raises UserDisabled."""
    if await disabled_users.disabled_at(connection, token.user_id) is not None:
        raise UserDisabled
    if not token.used:
        await users.insert_refresh_token(connection, refresh_hash(successor), token.family_id)
    return Renewed(token.user_id, token.family_id, successor, await database_time(connection))


async def _end(connection: Connection, token: RefreshToken, address: str | None) -> None:
    await users.revoke_family(connection, token.family_id)
    await audit.record(
        connection,
        Action.REFRESH_REUSED,
        token.user_id,
        token.family_id,
        address=address,
        ended="the login, with all of its tokens",
    )


def _refusal(token: RefreshToken | None) -> NotSignedIn | None:
    """Return why a token is refused; None if it is accepted."""
    if token is None:
        return _unknown()
    if token.family_over:
        return NotSignedIn("This login has ended: sign in again.")
    if token.used and not token.repeated:
        return RefreshTokenReused()
    return None


def _unknown() -> NotSignedIn:
    return NotSignedIn("The refresh token is not valid: sign in again.")
