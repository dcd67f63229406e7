"""A credential without an account: recorded before it is sent to the vault, then kept or doomed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from contracts.credentials import Fields
from contracts.exchanges.keys import CredentialKind
from contracts.exchanges.types import Exchange
from contracts.faults import Failure
from gateway.accounts.claims import claim
from gateway.accounts.destroyer import Destroyer
from gateway.advice import Advice
from gateway.errors import GatewayError
from gateway.rows.offers import Offer
from gateway.store import audit, credentials, offers
from gateway.store.audit import Action
from gateway.store.clock import DatabaseTime
from gateway.store.pool import DatabaseUnavailable, Pool

DOOM_SECONDS = 1.0

log = structlog.get_logger()


class Submission(msgspec.Struct, frozen=True):
    """A credential as a user submits it, its origin, and the advice about faults.

    `account_id` is the account whose key is replaced; None if an account is connected. A credential of a born
    kind has the `offer` whose key signs for it.
    """

    user_id: UUID
    exchange: Exchange
    region: str
    fields: Fields
    address: str | None
    advice: Advice
    account_id: UUID | None = None
    offer: Offer | None = None
    kind_key: str = ""

    @property
    def kind(self) -> CredentialKind:
        """Return the kind of the key."""
        return self.exchange.kind(self.kind_key) or self.exchange.typed[0]


class Pending:
    """A credential without an account; `begun` is its start by the database's clock.

    While `handed_over` is true, the vault-broker may still be storing it. `code` is why it is doomed.
    """

    def __init__(self, credential_id: UUID, begun: DatabaseTime) -> None:
        self.id = credential_id
        self.begun = begun
        self.handed_over = False
        self.kept = False
        self.code: str | None = None

    def keep(self) -> None:
        """Mark the credential as an account's."""
        self.kept = True


@asynccontextmanager
async def pending(pool: Pool, destroyer: Destroyer, submission: Submission) -> AsyncIterator[Pending]:
    """Record a pending credential, and doom it at exit, also after errors, unless it was kept."""
    credential = await _announced(pool, submission)
    try:
        yield credential
    except (Failure, GatewayError) as error:
        credential.code = error.code
        raise
    finally:
        if not credential.kept:
            await _doom(pool, credential, submission)
            destroyer.wake()


async def _announced(pool: Pool, submission: Submission) -> Pending:
    credential_id = uuid7()
    async with pool.transaction() as connection:
        if submission.offer is not None:
            await claim(connection, submission.user_id, submission.offer.id, credential_id)
        begun = await credentials.insert_pending(
            connection, credential_id, submission.user_id, submission.exchange.key
        )
        await audit.record(
            connection,
            Action.CREDENTIAL_SUBMITTED,
            submission.user_id,
            credential_id,
            address=submission.address,
            exchange=submission.exchange.key,
        )
    return Pending(credential_id, begun)


async def _doom(pool: Pool, credential: Pending, submission: Submission) -> None:
    """Doom a credential that did not become an account's, or seems not to have.

    If the vault-broker may still be storing it, it is destroyed only after that must have ended. If the
    database is unavailable, the caller does not wait: the destroyer dooms abandoned credentials.
    """
    try:
        async with pool.transaction(DOOM_SECONDS) as connection:
            if credential.handed_over:
                await credentials.doom_uncertain(connection, credential.id)
            else:
                await credentials.doom(connection, credential.id, "pending")
            if submission.offer is not None:
                await offers.release(connection, credential.id)
            await audit.record(
                connection,
                Action.CREDENTIAL_REFUSED,
                submission.user_id,
                credential.id,
                address=submission.address,
                error_code=credential.code,
            )
    except DatabaseUnavailable as error:
        log.warning("credential_abandoned", credential_id=credential.id, reason=str(error))
