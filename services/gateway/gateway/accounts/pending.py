"""A credential that no account has yet: announced before the vault hears of it, and kept or doomed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec
import structlog
from uuid_utils.compat import uuid7

from contracts.credentials import Fields
from contracts.exchanges.types import Exchange
from contracts.faults import Failure
from gateway.accounts.destroyer import Destroyer
from gateway.advice import Advice
from gateway.errors import GatewayError
from gateway.store import audit, credentials
from gateway.store.audit import Action
from gateway.store.clock import DatabaseTime
from gateway.store.pool import DatabaseUnavailable, Pool

DOOM_SECONDS = 1.0

log = structlog.get_logger()


class Submission(msgspec.Struct, frozen=True):
    """A credential as a user submits it, where it is from, and what its user is told to do about faults.

    `account_id` is the account whose key it is to replace; None where one is to be connected.
    """

    user_id: UUID
    exchange: Exchange
    region: str
    fields: Fields
    address: str | None
    advice: Advice
    account_id: UUID | None = None


class Pending:
    """A credential on its way to an account; `begun` is when that began, by the database's clock.

    While it is `handed_over` the vault-broker may still be storing it. `code` says why it is given up.
    """

    def __init__(self, credential_id: UUID, begun: DatabaseTime) -> None:
        self.id = credential_id
        self.begun = begun
        self.handed_over = False
        self.kept = False
        self.code: str | None = None

    def keep(self) -> None:
        """Say that an account has it now."""
        self.kept = True


@asynccontextmanager
async def pending(pool: Pool, destroyer: Destroyer, submission: Submission) -> AsyncIterator[Pending]:
    """Announce a credential, and give it up at the end, however that comes, unless it was kept."""
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
        begun = await credentials.insert_pending(
            connection, credential_id, submission.user_id, submission.exchange.key
        )
        await audit.record(
            connection,
            Action.CREDENTIAL_SUBMITTED,
            user_id=submission.user_id,
            subject=credential_id,
            address=submission.address,
            exchange=submission.exchange.key,
        )
    return Pending(credential_id, begun)


async def _doom(pool: Pool, credential: Pending, submission: Submission) -> None:
    """Give up a credential that did not become an account's, even when that only seems so.

    While the vault-broker may still be storing it, it is destroyed only when that must have ended. When the
    database is away the caller does not wait for it: the destroyer dooms what was abandoned.
    """
    try:
        async with pool.transaction(DOOM_SECONDS) as connection:
            if credential.handed_over:
                await credentials.doom_uncertain(connection, credential.id)
            else:
                await credentials.doom(connection, credential.id, "pending")
            await audit.record(
                connection,
                Action.CREDENTIAL_REFUSED,
                user_id=submission.user_id,
                subject=credential.id,
                address=submission.address,
                error_code=credential.code,
            )
    except DatabaseUnavailable as error:
        log.warning("credential_abandoned", credential_id=credential.id, reason=str(error))
